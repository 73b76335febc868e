// Pictures of every page, light and dark, wide and narrow; and axe-core's opinion of each. Called by
// `cargo xtask screenshots` with the site, the administrator's file and the folder for the pictures.
import { readFileSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pages } from "./list.mjs";
import { PASSWORD, build } from "./world.mjs";

const [site, administrator, folder, only] = process.argv.slice(2);
const require = createRequire(join(process.env.BASTIDE_NODE, "package.json"));
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const world = await build(site, JSON.parse(readFileSync(administrator, "utf8")));
mkdirSync(folder, { recursive: true });
const browser = await puppeteer.launch({ executablePath: process.env.BASTIDE_CHROMIUM, args: ["--no-sandbox", "--force-color-profile=srgb"] });
let wrong = 0;
const say = (name, text) => { wrong += 1; console.log(`${name}: ${text}`); };

async function signIn(context, name) {
  const tab = await context.newPage();
  await tab.goto(`${site}/sign-in`);
  await tab.type("#name", name);
  await tab.type("#password", PASSWORD);
  await Promise.all([tab.waitForNavigation(), tab.click("main form button.primary")]);
  if (tab.url().includes("sign-in")) throw new Error(`${name} cannot sign in: ${await tab.$eval("main", (m) => m.innerText)}`);
  await tab.close();
}

const contexts = new Map();
async function context(who) {
  if (!contexts.has(who)) {
    const made = await browser.createBrowserContext();
    contexts.set(who, made);
    if (!who.startsWith("nobody")) await signIn(made, who);
  }
  return contexts.get(who);
}

async function look(name, entry, scheme, width) {
  const tab = await (await context(entry.who ?? "nobody")).newPage();
  tab.on("console", (message) => { if (message.type() === "error" && !entry.fails) say(name, `console: ${message.text()}`); });
  const ours = (url) => url.startsWith(site) || (entry.letsIn && url.startsWith(world.provider.issuer));
  tab.on("request", (request) => { if (!ours(request.url()) && !request.url().startsWith("data:")) say(name, `asks ${request.url()}`); });
  await tab.setViewport({ width, height: 900 });
  await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  if (entry.letsIn) await world.provider.letsIn(entry.letsIn);
  const path = typeof entry.path === "function" ? entry.path(world) : entry.path;
  const answer = await tab.goto(site + path, { waitUntil: "load" });
  if (answer.status() >= 400 && !entry.fails) say(name, `${path}: ${answer.status()}`);
  if (entry.act) await entry.act(tab);
  const size = (await tab.content()).length;
  if (size > 100_000) say(name, `${size} bytes of HTML`);
  const wide = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) say(name, `scrolls sideways by ${wide} px`);
  await tab.screenshot({ path: join(folder, `${name}-${scheme}-${width}.png`), fullPage: true });
  // Run as a debugger would: the page's own policy stays in force for everything else.
  const found = await tab.evaluate(`${axe}; axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "wcag2aaa", "best-practice"], rules: { "color-contrast-enhanced": { enabled: true } } })`);
  for (const violation of found.violations) {
    const places = violation.nodes.slice(0, 3).map((node) => node.target.join(" ") + ": " + (node.any[0]?.message ?? node.html));
    say(`${name}-${scheme}-${width}`, `${violation.id} (${violation.impact}): ${violation.help}\n    ${places.join("\n    ")}`);
  }
  await tab.close();
}

for (const [name, entry] of Object.entries(pages)) {
  if (only && !only.split(",").some((part) => name.includes(part))) continue;
  for (const width of [1280, 390]) {
    for (const scheme of ["light", "dark"]) {
      try {
        await look(name, entry, scheme, width);
      } catch (error) {
        say(name, String(error));
      }
    }
  }
}
await browser.close();
writeFileSync(join(folder, "result.txt"), `${wrong} complaints\n`);
console.log(`${Object.keys(pages).length} pages, ${wrong} complaints; pictures in ${folder}`);
process.exit(wrong ? 1 : 0);
