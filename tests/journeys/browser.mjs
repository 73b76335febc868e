// A person at a browser: what the journeys do again and again. Everything is done by what a page shows: labels, buttons,
// headings.
import { createHmac } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.BASTIDE_NODE, "package.json"));
const puppeteer = require("puppeteer-core");

export const SITE = process.env.BASTIDE_SITE;
const PASSWORD = process.env.BASTIDE_PASSWORD;

// An authenticator app's six digits (RFC 6238), now or so many codes ahead.
export function totp(secret, ahead = 0) {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret.replaceAll(" ", "")].map((letter) => letters.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + ahead));
  const tag = createHmac("sha1", key).update(counter).digest();
  return String((tag.readUInt32BE(tag[19] & 15) & 0x7fffffff) % 1000000).padStart(6, "0");
}

export function must(holds, told) {
  if (!holds) throw new Error(told);
}

export async function open() {
  const args = ["--no-sandbox", "--disable-dev-shm-usage"];
  return puppeteer.launch({ executablePath: process.env.BASTIDE_CHROMIUM, args });
}

export class Person {
  // A browser of their own, with no cookies.
  static async begin(browser) {
    const context = await browser.createBrowserContext();
    const person = new Person();
    person.tab = await context.newPage();
    person.tab.setDefaultTimeout(30_000);
    person.tab.on("pageerror", (error) => { person.broken = error; });
    return person;
  }

  // A device that makes and keeps passkeys, unlocked.
  async deviceWithPasskeys() {
    this.devtools = await this.tab.createCDPSession();
    await this.devtools.send("WebAuthn.enable");
    const options = { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true };
    await this.devtools.send("WebAuthn.addVirtualAuthenticator", { options });
  }

  async visit(path) {
    const answer = await this.tab.goto(SITE + path, { waitUntil: "load" });
    must(!this.broken, `a script failed on ${path}: ${this.broken}`);
    return answer.status();
  }

  async text() {
    return this.tab.$eval("main", (main) => main.innerText);
  }

  async heading() {
    return this.tab.$eval("h1", (heading) => heading.innerText.trim());
  }

  async sees(words) {
    const text = await this.text();
    must(text.includes(words), `the page at ${this.tab.url()} does not say "${words}":\n${text}`);
  }

  path() {
    return this.tab.url().replace(SITE, "");
  }

  // Types into the field with this label.
  async type(label, text, form = "main") {
    const id = await this.tab.$$eval(`${form} label`, (labels, wanted) => labels.find((one) => one.innerText.trim().startsWith(wanted))?.htmlFor, label);
    must(id, `no field "${label}" at ${this.tab.url()}:\n${await this.text()}`);
    await this.tab.$eval(`#${id}`, (field) => { field.value = ""; });
    await this.tab.type(`#${id}`, text);
  }

  async tick(value) {
    await this.tab.$eval(`input[value="${value}"]`, (box) => box.closest("details")?.setAttribute("open", ""));
    await this.tab.click(`input[value="${value}"]`);
  }

  // Presses the button, or follows the link, that says so; waits for the page it leads to.
  async press(words, { stays = false, form = "main" } = {}) {
    const handles = await this.tab.$$(`${form} button, ${form} a, ${form} summary`);
    for (const handle of handles) {
      const found = await handle.evaluate((one, wanted) => one.innerText.trim() === wanted && one.checkVisibility() && !one.closest("[aria-hidden]"), words);
      if (!found) continue;
      if (stays) return handle.click();
      await Promise.all([this.tab.waitForNavigation({ waitUntil: "load" }), handle.click()]);
      must(!this.broken, `a script failed at ${this.tab.url()}: ${this.broken}`);
      return undefined;
    }
    throw new Error(`nothing says "${words}" at ${this.tab.url()}:\n${await this.text()}`);
  }

  // Waits until the page's address is this one: after a script sent a form by itself.
  async arrives(path) {
    await this.tab.waitForFunction((wanted) => location.pathname === wanted && document.readyState === "complete", {}, path);
  }

  async givePassword(name, next = "") {
    await this.visit(`/sign-in${next}`);
    await this.type("Username", name);
    await this.type("Password", PASSWORD);
    await this.press("Sign in");
  }

  async signIn(name, next = "") {
    await this.givePassword(name, next);
    must(!this.path().startsWith("/sign-in"), `${name} is not signed in:\n${await this.text()}`);
  }

  async signOut() {
    await this.visit("/account");
    await this.tab.click(".account summary");
    await this.press("Sign out", { form: ".account" });
  }
}
