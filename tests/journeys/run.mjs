// The journeys that a person makes through the pages, in a real browser, with the real git. Each says `done NAME` when it
// has got to its end; the test that runs this wants to hear it of all.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Person, SITE, must, open, totp } from "./browser.mjs";

const browser = await open();
const scratch = mkdtempSync(join(tmpdir(), "bastide-journeys-"));

// Runs a command as a page shows it, by a shell, and gives git the secret when it asks.
function shell(command, secret) {
  const asked = join(scratch, "askpass");
  writeFileSync(asked, "#!/bin/sh\nprintf '%s\\n' \"$BASTIDE_SECRET\"\n", { mode: 0o700 });
  const env = { PATH: process.env.PATH, HOME: scratch, GIT_ASKPASS: asked, GIT_TERMINAL_PROMPT: "0", GIT_CONFIG_NOSYSTEM: "1", BASTIDE_SECRET: secret };
  try {
    return { done: true, said: execFileSync("sh", ["-c", command], { cwd: scratch, env, stdio: "pipe" }).toString() };
  } catch (error) {
    return { done: false, said: String(error.stderr) };
  }
}

const shown = (person, id) => person.tab.$eval(`#${id}`, (code) => code.textContent.trim());

// What a script prints appears on the page while it is printed, in its colours; the page says when the run is over.
const SCRIPT = `pipelines:
  default:
    - step:
        name: Count
        runs-on: linux.shell
        script:
          - printf '\\033[32mgreen\\033[0m\\n'
          - for i in $(seq 60); do echo "line $i of 60"; sleep 0.2; done
          - sleep 15
`;

async function watched(owner) {
  const [user, secret] = [process.env.BASTIDE_USER, process.env.BASTIDE_SECRET];
  const authorization = "Basic " + Buffer.from(`${user}:${secret}`).toString("base64");
  const body = new URLSearchParams({ "bitbucket-pipelines.yml": SCRIPT, message: "Count to sixty", branch: "main" });
  const sent = await fetch(`${SITE}/2.0/repositories/acme/one/src`, { method: "POST", headers: { authorization }, body });
  must(sent.status === 201, `the file was not taken: ${sent.status}`);
  for (let tries = 0; !(await owner.text()).includes("Count to sixty"); tries += 1) {
    must(tries < 50, "the run is not in the list");
    await owner.visit("/acme/one/pipelines");
  }
  await owner.press("#1 Count to sixty");
  const waited = (check) => owner.tab.waitForFunction(check, { timeout: 30_000 });
  await waited(() => document.querySelector("#log")?.innerText.includes("line 3 of 60"));
  const [before, state] = await owner.tab.evaluate(() => [document.querySelector("#log").innerText, document.querySelector("#run-state").innerText]);
  must(!before.includes("line 60 of 60"), "the log was there at once: nothing was watched");
  must(state === "Running", `a run under way is ${state}`);
  await owner.tab.evaluate(() => { window.sameDocument = true; });
  // The step goes on for a while: when it is over, the page is loaded again, which may be at any moment then.
  await waited(() => window.sameDocument && document.querySelector("#log").innerText.includes("line 60 of 60"));
  await waited(() => document.querySelector("#run-state")?.innerText === "Passed");
  must(await owner.tab.$("#log .line i"), "the colours are lost");
  // A line has an address.
  const line = await owner.tab.$$eval("#log .line", (all) => all.find((one) => one.innerText.includes("line 7 of 60")).id);
  await owner.tab.goto(`${owner.tab.url().split("#")[0]}#${line}`);
  must(await owner.tab.evaluate(() => document.querySelector(":target").innerText.includes("line 7 of 60")), "the link leads elsewhere");
}

const journeys = {
  // A token is made in the dialogue; it clones, does not push, and after it leaked it ends.
  async "a token is made, used and revoked"() {
    const owner = await Person.begin(browser);
    await owner.signIn("owner", "?next=/acme/one/settings/access-tokens");
    await owner.press("Create token");
    await owner.type("Name", "Nightly backup");
    await owner.press("Create token");
    await owner.sees("name at least one scope");
    must((await owner.tab.$eval("#name", (field) => field.value)) === "Nightly backup", "the name was lost");
    await owner.tick("repository");
    await owner.press("Show what it will be able to do");
    await owner.sees("Clone and fetch");
    await owner.press("Create token");
    const [secret, clone, curl] = [await shown(owner, "token"), await shown(owner, "clone"), await shown(owner, "curl")];
    const cloned = shell(clone, secret);
    must(cloned.done, `\`${clone}\`: ${cloned.said}`);
    const pushed = shell("cd one && git push origin HEAD:refs/heads/other", secret);
    must(!pushed.done && pushed.said.includes("403"), `a token that may not push: ${pushed.said}`);
    must(curl.includes("read -rsp"), "the secret would stand in the shell's history");
    await owner.press("Back to the list");
    const fetched = () => shell("cd one && git fetch", secret);
    must(fetched().done, "it works until it is revoked");
    await owner.press("Nightly backup");
    await owner.sees("can no longer");
    await owner.press("Revoke token");
    must(!(await owner.text()).includes("Nightly backup"), "a revoked token is still listed");
    const after = fetched();
    must(!after.done, "a revoked token still fetches");
  },

  // A runner is added and registered by the command that the page shows; then a run is watched as it goes.
  async "a runner is registered by the shown command, and a run is watched"() {
    const owner = await Person.begin(browser);
    await owner.signIn("owner", "?next=/acme/one/settings/runners");
    await owner.type("Name", "build-1");
    await owner.type("Labels", "gpu");
    await owner.press("Add runner");
    const [code, register, start] = [await shown(owner, "code"), await shown(owner, "register"), await shown(owner, "start")];
    must(!register.includes(code), "the code would stand in the shell's history");
    await owner.press("Back to the runners");
    await owner.sees("Not registered");
    must(!(await owner.tab.content()).includes(code), "the code is shown again");
    const env = { PATH: `${dirname(process.env.BASTIDE_PROGRAM)}:${process.env.PATH}`, HOME: scratch };
    execFileSync("sh", ["-c", register], { env, input: code, stdio: ["pipe", "pipe", "pipe"] });
    const runner = spawn("sh", ["-c", `exec ${start} --no-containers --log warn`], { env, stdio: ["ignore", "ignore", "inherit"] });
    try {
      await watched(owner);
    } finally {
      runner.kill("SIGKILL");
    }
  },

  // What makes a cloud trust a repository's steps is copied as it is.
  async "a trust policy for a cloud is copied"() {
    const owner = await Person.begin(browser);
    await owner.signIn("owner", "?next=/acme/one/settings/openid-connect");
    await owner.tab.browserContext().overridePermissions(new URL(owner.tab.url()).origin, ["clipboard-read", "clipboard-sanitized-write"]);
    await owner.press("Amazon Web Services", { stays: true });
    await owner.press("Copy policy", { stays: true });
    await owner.tab.waitForFunction(() => [...document.querySelectorAll("button")].some((one) => one.innerText.trim() === "Copied"));
    const copied = JSON.parse(await owner.tab.evaluate(() => navigator.clipboard.readText()));
    must(copied.Statement[0].Action === "sts:AssumeRoleWithWebIdentity", JSON.stringify(copied));
  },

  // Who is refused learns which rule refused and who can change that; a stranger learns nothing.
  async "who is refused learns why"() {
    const reader = await Person.begin(browser);
    await reader.signIn("reader", "?next=/acme/one");
    must((await reader.visit("/acme/one/settings/access-tokens")) === 403, "a reader sees the tokens");
    must((await reader.heading()) === "Refused", await reader.heading());
    await reader.sees("Which rule refused it");
    await reader.sees("Request id");
    const outsider = await Person.begin(browser);
    await outsider.signIn("outsider");
    must((await outsider.visit("/acme/one")) === 404, "a stranger learns that it exists");
  },

  // An app is added by its secret; its codes, and the recovery codes, sign in once each.
  async "an authenticator app is added and signs in"() {
    const writer = await Person.begin(browser);
    await writer.signIn("writer", "?next=/account/second-steps");
    await writer.type("Name", "Phone <b>", "form[action='/account/second-steps/totp']");
    await writer.press("Add app");
    must(await writer.tab.$("svg.qr path"), "there is no picture to read");
    const secret = (await shown(writer, "totp-secret")).replaceAll(" ", "");
    await writer.type("Code", "000000");
    await writer.press("Confirm app");
    await writer.sees("this code is wrong");
    must((await shown(writer, "totp-secret")).replaceAll(" ", "") === secret, "the app's secret changed");
    await writer.type("Code", totp(secret));
    await writer.press("Confirm app");
    const codes = (await shown(writer, "codes")).split("\n").map((code) => code.trim());
    must(codes.length === 10, `recovery codes: ${codes.length}`);
    await writer.press("I have kept them");
    await writer.sees("Phone <b>");

    await writer.signOut();
    await writer.givePassword("writer");
    must((await writer.visit("/acme/one")) === 404, "the password alone opens something private");
    await writer.givePassword("writer");
    const next = totp(secret, 1);
    await writer.type("Code", next);
    await writer.press("Sign in");
    must((await writer.visit("/acme/one")) === 200, "not signed in after the code");

    // A code that was seen over a shoulder is worth nothing.
    const thief = await Person.begin(browser);
    await thief.givePassword("writer");
    await thief.type("Code", next);
    await thief.press("Sign in");
    await thief.sees("wrong, or was used already");
    await thief.type("Code", codes[0]);
    await thief.press("Sign in");
    must((await thief.visit("/acme/one")) === 200, "a recovery code signs in");
    await thief.signOut();
    await thief.givePassword("writer");
    await thief.type("Code", codes[0]);
    await thief.press("Sign in");
    await thief.sees("wrong, or was used already");
  },

  // A passkey is made, signs in alone and after a password, confirms, and is removed.
  async "a passkey is added, signs in and is removed"() {
    const admin = await Person.begin(browser);
    await admin.deviceWithPasskeys();
    await admin.signIn("repoadmin", "?next=/account/second-steps");
    await admin.type("Name", "Laptop", "form[action='/account/second-steps/passkey']");
    await admin.press("Add passkey");
    await admin.arrives("/account/second-steps/passkey/confirm");
    must((await shown(admin, "codes")).length > 0, "the first step brings recovery codes");
    await admin.signOut();

    await admin.visit("/sign-in?next=/acme/one");
    await admin.press("Sign in with a passkey");
    await admin.arrives("/acme/one");
    await admin.signOut();

    await admin.givePassword("repoadmin", "?next=/account/second-steps");
    must((await admin.heading()) === "Second step", await admin.heading());
    await admin.press("Use passkey", { stays: true });
    await admin.arrives("/account/second-steps");
    await admin.visit("/step-up?next=/account");
    await admin.press("Use passkey", { stays: true });
    await admin.arrives("/account");

    await admin.visit("/account/second-steps");
    await admin.press("Remove", { stays: true });
    await admin.sees("your password alone will");
    await admin.press("Remove Laptop");
    await admin.sees("The second step is removed");
    await admin.signOut();
    await admin.visit("/sign-in");
    await admin.press("Sign in with a passkey");
    await admin.tab.waitForFunction(() => document.querySelector("[role=alert]")?.innerText.length > 0);
    must((await admin.visit("/acme/one")) === 404, "a removed passkey signs in");
  },

  // Where a workspace asks for a second step, its member is led to add one and sees nothing before.
  async "whoever must have a second step is led to add one"() {
    const member = await Person.begin(browser);
    await member.signIn("member", "?next=/acme");
    must(member.path() === "/account/second-steps", `led to ${member.path()}`);
    await member.sees("until then nothing else opens");
    for (const path of ["/", "/account", "/acme", "/search?q=one", "/account/app-passwords/new"]) {
      await member.visit(path);
      must(member.path() === "/account/second-steps", `${path} opens`);
    }
    await member.type("Name", "Phone", "form[action='/account/second-steps/totp']");
    await member.press("Add app");
    await member.type("Code", totp(await shown(member, "totp-secret")));
    await member.press("Confirm app");
    await member.press("I have kept them");
    must((await member.visit("/acme")) === 200, "still closed with a second step");
  },

  // A guardrail is switched on after its effect was seen; then it holds.
  async "a guardrail is switched on with its effect in sight"() {
    const owner = await Person.begin(browser);
    await owner.signIn("owner", "?next=/other/workspace/settings/guardrails");
    await owner.tab.click("#credential_lifetime input[value=on]");
    await owner.type("Longest life in days", "30");
    await owner.press("See the effect");
    must((await owner.heading()) === "What this will do", await owner.text());
    await owner.sees("Nothing is saved yet");
    const before = await Person.begin(browser);
    await before.signIn("owner", "?next=/other/workspace/settings/guardrails");
    must(await before.tab.$("#credential_lifetime input[value=off][checked]"), "looking at the effect has saved it");
    await owner.press("Save guardrails");
    await owner.visit("/other/workspace/settings/guardrails");
    must(await owner.tab.$("#credential_lifetime input[value=on][checked]"), "not saved");
    await owner.visit("/other/three/settings/access-tokens/new");
    await owner.type("Name", "For ever");
    await owner.tick("repository");
    await owner.tab.select("#expires_on", "365");
    await owner.press("Create token");
    await owner.sees("at most 30 days");
  },

  // Somebody was refused: its owner finds that in the audit log, and by the request's id.
  async "an audit event is found"() {
    const reader = await Person.begin(browser);
    await reader.signIn("reader");
    await reader.visit("/acme/one/settings/access-tokens");
    const id = await reader.tab.$eval("main p:last-of-type code", (code) => code.innerText.trim());
    const owner = await Person.begin(browser);
    await owner.signIn("owner", "?next=/acme/workspace/settings/audit");
    await owner.type("Who", "reader");
    await owner.tab.select("#outcome", "refused");
    // A refusal is recorded without making the refused wait: it may be a moment late.
    for (let turn = 0; turn < 20; turn += 1) {
      await owner.press("Search events");
      if (await owner.tab.$("#events a")) break;
    }
    await owner.sees("access-token.list");
    const found = await owner.tab.$$eval("#events a", (links, id) => links.findIndex((link) => link.href.endsWith(id)), id);
    must(found >= 0, `no event of the request ${id}`);
    const links = await owner.tab.$$("#events a");
    await Promise.all([owner.tab.waitForNavigation(), links[found].click()]);
    await owner.sees(id);
  },

  // Who follows the audit log sees what others do without loading the page again; who stops sees no more.
  async "new events are followed as they happen"() {
    const owner = await Person.begin(browser);
    await owner.signIn("owner", "?next=/acme/workspace/settings/audit?action=repository.read");
    const rows = () => owner.tab.$$eval("#events tr.new", (rows) => rows.map((row) => row.innerText));
    await owner.press("Follow new events", { stays: true });
    await owner.tab.waitForFunction(() => document.getElementById("tail-state").innerText.startsWith("Following"));
    must((await rows()).length === 0, "an event is new before anything was done");
    const reader = await Person.begin(browser);
    await reader.signIn("reader");
    await reader.visit("/acme/two");
    await owner.tab.waitForSelector("#events tr.new");
    const [first] = await rows();
    must(first.includes("reader") && first.includes("acme/two") && first.includes("Refused"), `the new event is: ${first}`);
    must((await owner.tab.$eval("#tail-state", (state) => state.innerText)).includes("new event"), "the new event is not announced");
    const leads = await owner.tab.$eval("#events tr.new a", (link) => link.pathname);
    await owner.press("Stop following", { stays: true });
    await owner.sees("Stopped following");
    const before = (await rows()).length;
    await reader.visit("/acme/two");
    await new Promise((done) => setTimeout(done, 3000));
    must((await rows()).length === before, "an event came after following was stopped");
    must((await owner.visit(leads)) === 200, `${leads} leads nowhere`);
    await owner.sees("repository.read");
  },

  // On a phone the sections of settings are one line until they are wanted; no script is needed for it.
  async "settings fold under their heading on a phone"() {
    const owner = await Person.begin(browser);
    await owner.signIn("owner");
    await owner.tab.setJavaScriptEnabled(false);
    await owner.tab.setViewport({ width: 1280, height: 800 });
    const isShown = () => owner.tab.evaluate(() => document.querySelector(".sections ul").checkVisibility());
    await owner.visit("/acme/workspace/settings/members");
    must(await isShown(), "where there is room the sections are shown");
    await owner.tab.setViewport({ width: 390, height: 844 });
    must(!(await isShown()), "the sections are not folded");
    await owner.press("Settings: Members", { stays: true, form: ".sections" });
    must(await isShown(), "the sections do not open");
    await owner.press("Groups", { form: ".sections" });
    must((await owner.heading()) === "Groups", await owner.heading());
    must(!(await isShown()), "the sections stay open on the next page");
  },

  // A link sets a password once, and its secret never reaches a server's log as part of an address.
  async "a link sets a new password"() {
    const link = process.env.BASTIDE_RESET_LINK.replace(/^.*(?=\/account)/, "");
    const person = await Person.begin(browser);
    const asked = [];
    person.tab.on("request", (request) => asked.push(request.url()));
    await person.visit(link);
    must(person.path() === "/account/reset-password", `the address keeps the secret: ${person.path()}`);
    await person.type("New password", "too short");
    await person.press("Set password");
    await person.sees("at least 12 characters");
    await person.type("New password", "four unrelated words here");
    await person.press("Set password");
    must((await person.heading()) === "The password is set", await person.text());
    const secret = link.split("#")[1];
    must(!asked.some((address) => address.split("#")[0].includes(secret)), "the secret was sent in an address");
    await person.visit("/sign-in");
    await person.type("Username", "projectadmin");
    await person.type("Password", "four unrelated words here");
    await person.press("Sign in");
    must(!person.path().startsWith("/sign-in"), "the new password signs in");
    await person.visit("/account/password");
    await person.type("Password now", "not this one at all");
    await person.type("New password", "yet four unrelated words");
    await person.press("Change password");
    await person.sees("this is not the account's password");
    await person.type("Password now", "four unrelated words here");
    await person.type("New password", "yet four unrelated words");
    await person.press("Change password");
    await person.sees("The password is changed");
    await person.visit(link);
    await person.type("New password", "another four unrelated words");
    await person.press("Set password");
    await person.sees("was used already");
  },

  // Proof is asked for in the middle of a form: what was typed goes on.
  async "what was typed survives proving who one is"() {
    const creator = await Person.begin(browser);
    await creator.signIn("creator", "?next=/account/app-passwords/new");
    execFileSync("sqlite3", [process.env.BASTIDE_DATABASE, ".timeout 20000", "UPDATE session SET stepped_up_until = 0"]);
    await creator.type("Name", "Laptop");
    await creator.tick("repository:admin");
    await creator.press("Create app password");
    must((await creator.heading()) === "Confirm that it is you", await creator.text());
    await creator.type("Password", "not this one at all");
    await creator.press("Confirm");
    await creator.type("Password", process.env.BASTIDE_PASSWORD);
    await creator.press("Confirm");
    await creator.tab.waitForFunction(() => document.getElementById("token"));
    await creator.sees("Copy the app password now");
    must((await creator.heading()) === "Laptop", await creator.heading());
    const secret = await shown(creator, "token");
    must(!creator.tab.url().includes("Laptop") && secret.length > 20, "what was typed stands in the address");
  },
};

const only = process.argv[2] ?? "";
let failed = 0;
for (const [name, journey] of Object.entries(journeys)) {
  if (!name.includes(only)) continue;
  try {
    await journey();
    console.log(`done ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}: ${error.stack}`);
  }
}
await browser.close();
process.exit(failed ? 1 : 0);
