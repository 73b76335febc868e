import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { dirname, join } from "node:path";

// Every page that a picture is taken of: its path, who looks (nobody where it does not say), what is done first. A name that
// begins with `nobody` is a browser of its own; `letsIn` is whom the identity provider lets in meanwhile.
const newToken = "/acme/payroll/settings/access-tokens/new";

async function send(tab, button) {
  await Promise.all([tab.waitForNavigation(), tab.click(`main form button[value=${button}]`)]);
}

// An authenticator's six digits (RFC 6238).
function totp(secret, ahead = 0) {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret.replaceAll(" ", "")].map((letter) => letters.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + ahead));
  const tag = createHmac("sha1", key).update(counter).digest();
  const at = tag[19] & 15;
  return String((tag.readUInt32BE(at) & 0x7fffffff) % 1000000).padStart(6, "0");
}

async function press(tab, selector) {
  await Promise.all([tab.waitForNavigation(), tab.click(selector)]);
}

// Who the provider says that somebody is.
function atWork(name, more = {}) {
  return { sub: `${name}-at-work`, email: `${name}@work.example`, email_verified: true, preferred_username: name, groups: [], ...more };
}

async function beginTotp(tab) {
  await tab.type("#totp-name", "Phone");
  await press(tab, "form[action='/account/second-steps/totp'] button");
}

export const pages = {
  design: { path: "/-/design" },
  "home-nobody": { path: "/" },
  "not-found": { path: "/acme/payroll", fails: true },
  search: { path: "/search?q=web" },
  workspace: { path: "/acme" },
  project: { path: "/acme/workspace/projects/WEB" },
  repository: { path: "/acme/website" },
  "repository-empty": { path: "/acme/design-tokens" },
  tree: { path: "/acme/website/src/main/src" },
  file: { path: "/acme/website/src/main/src/order.rs#L11" },
  commits: { path: "/acme/website/commits" },
  commit: { path: (world) => `/acme/website/commits/${world.commit}` },
  branches: { path: "/acme/website/branches" },
  "sign-in": { path: "/sign-in?next=/acme" },
  "sign-in-wrong": {
    path: "/sign-in",
    fails: true,
    act: async (tab) => {
      await tab.type("#name", "bea");
      await tab.type("#password", "not this");
      await Promise.all([tab.waitForNavigation(), tab.click("main form button.primary")]);
    },
  },
  home: { path: "/", who: "bea" },
  "repository-private": { path: "/acme/payroll", who: "bea" },
  account: { path: "/account", who: "bea" },
  "forgotten-password": {
    path: "/sign-in/forgotten-password",
    fails: true,
    act: async (tab) => {
      await tab.type("#name", "bea");
      await press(tab, "main form button.primary");
    },
  },
  "verify-email": { path: "/account/verify-email#bst_eml_example" },
  "reset-password": { path: "/account/reset-password#bst_rst_example" },
  "reset-password-over": {
    path: "/account/reset-password#over",
    fails: true,
    act: async (tab) => {
      await tab.type("#password", "correct horse battery staple");
      await press(tab, "main form button.primary");
    },
  },
  "app-password-new": { path: "/account/app-passwords/new", who: "bea" },
  "app-password-wrong": {
    path: "/account/app-passwords/new",
    who: "bea",
    fails: true,
    act: async (tab) => {
      await tab.type("#name", "Laptop");
      await press(tab, "main form button.primary");
    },
  },
  "app-password-made": {
    path: "/account/app-passwords/new",
    who: "bea",
    act: async (tab) => {
      await tab.type("#name", "Laptop");
      await tab.click("input[value='repository:write']");
      await press(tab, "main form button.primary");
    },
  },
  "api-token-new": { path: "/account/api-tokens/new", who: "bea" },
  "password-wrong": {
    path: "/account/password",
    who: "cyd",
    fails: true,
    act: async (tab) => {
      await tab.type("#current_password", "not this one at all");
      await tab.type("#password", "four unrelated words here");
      await press(tab, "main form button.primary");
    },
  },
  "own-access": { path: "/account/access", who: "cyd" },
  "second-steps-none": { path: "/account/second-steps", who: "bea" },
  totp: { path: "/account/second-steps", who: "bea", act: beginTotp },
  "totp-wrong": {
    path: "/account/second-steps",
    who: "bea",
    fails: true,
    act: async (tab) => {
      await beginTotp(tab);
      await tab.type("#code", "000000");
      await press(tab, "main form button.primary");
    },
  },
  "passkey-sign-in": { path: "/sign-in", act: (tab) => press(tab, "form[action='/sign-in/passkey'] button") },
  "recovery-codes": {
    path: "/account/second-steps",
    who: "dee",
    act: async (tab) => {
      if (await tab.$("form[action='/account/second-steps/recovery-codes']")) {
        await press(tab, "form[action='/account/second-steps/recovery-codes'] button");
        return;
      }
      await beginTotp(tab);
      await tab.type("#code", totp(await tab.$eval("#totp-secret", (code) => code.textContent)));
      await press(tab, "main form button.primary");
    },
  },
  "second-steps": { path: "/account/second-steps", who: "dee", act: (tab) => tab.click(".confirm summary") },
  "step-up": { path: "/step-up", who: "dee" },
  "second-step": {
    path: "/sign-in",
    act: async (tab) => {
      await tab.type("#name", "dee");
      await tab.type("#password", "correct horse battery staple");
      await press(tab, "main form button.primary");
    },
  },
  "access-tokens": { path: "/acme/payroll/settings/access-tokens", who: "bea" },
  "access-token-preview": {
    path: newToken,
    who: "bea",
    act: async (tab) => {
      await tab.type("#name", "Nightly backup");
      await tab.click("input[value=repository]");
      await send(tab, "preview");
    },
  },
  "access-token-wrong": {
    path: newToken,
    who: "bea",
    fails: true,
    act: async (tab) => {
      await tab.type("#name", "No scopes chosen");
      await send(tab, "create");
    },
  },
  "access-token-made": {
    path: newToken,
    who: "bea",
    act: async (tab) => {
      await tab.type("#name", "Nightly backup");
      await tab.click("input[value=repository]");
      await send(tab, "create");
    },
  },
  "access-token": {
    path: "/acme/payroll/settings/access-tokens",
    who: "bea",
    act: (tab) => press(tab, ".list td a"),
  },
  "access-token-rotated": {
    path: "/acme/payroll/settings/access-tokens",
    who: "bea",
    act: async (tab) => {
      await press(tab, ".list td a");
      await press(tab, "main form button.primary");
    },
  },
  "settings-opened": {
    path: "/acme/workspace/settings/members",
    who: "bea",
    act: (tab) => tab.$eval(".sections details", (details) => { details.open = true; }),
  },
  "workspace-settings": { path: "/acme/workspace/settings/general", who: "bea" },
  "new-repository": { path: "/acme/workspace/new-repository", who: "bea" },
  "repository-settings": { path: "/acme/payroll/settings/general", who: "bea" },
  members: { path: "/acme/workspace/settings/members", who: "bea" },
  "member-remove": { path: "/acme/workspace/settings/members/cyd/remove", who: "bea" },
  groups: { path: "/acme/workspace/settings/groups", who: "bea" },
  group: { path: "/acme/workspace/settings/groups/designers", who: "bea" },
  permissions: { path: "/acme/payroll/settings/permissions", who: "bea" },
  "branch-restrictions": { path: "/acme/payroll/settings/branch-restrictions", who: "bea" },
  "pipeline-runs": { path: "/acme/website/pipelines", who: "bea" },
  "pipeline-start-wrong": {
    path: "/acme/website/pipelines",
    who: "bea",
    fails: true,
    act: async (tab) => {
      await tab.click("details.start > summary");
      await tab.$eval("details.more", (more) => { more.open = true; });
      await tab.type("#custom", "release");
      await tab.type("#variables", "VERSION=1.4\nTARGET");
      await press(tab, "details.start button.primary");
    },
  },
  "pipeline-run": { path: "/acme/website/pipelines/1", who: "bea" },
  "pipeline-run-failed": {
    path: "/acme/website/pipelines/1",
    who: "bea",
    act: async (tab) => {
      await tab.$$eval(".run-steps a", (all) => { all.find((one) => one.innerText.includes("Lint")).id = "lint"; });
      await press(tab, "#lint");
    },
  },
  "pipeline-run-approval": { path: "/acme/website/pipelines/2", who: "cyd" },
  "pipeline-configuration": { path: "/acme/website/pipelines/1/configuration", who: "bea" },
  "pipeline-settings": { path: "/acme/payroll/settings/pipelines", who: "bea" },
  "dynamic-pipelines": { path: "/acme/payroll/settings/dynamic-pipelines", who: "bea" },
  "workspace-dynamic-pipelines": { path: "/annex/workspace/settings/dynamic-pipelines", who: "bea" },
  "pipeline-variables": { path: "/acme/payroll/settings/pipeline-variables", who: "bea" },
  "pipeline-variables-wrong": {
    path: "/acme/payroll/settings/pipeline-variables",
    who: "bea",
    fails: true,
    act: async (tab) => {
      await tab.type("#key", "9LIVES");
      await press(tab, "main button.primary");
    },
  },
  "workspace-pipeline-variables": { path: "/acme/workspace/settings/pipeline-variables", who: "bea" },
  environments: { path: "/acme/payroll/settings/environments", who: "bea" },
  environment: {
    path: "/acme/payroll/settings/environments",
    who: "bea",
    act: async (tab) => {
      await tab.$$eval("main .list td a", (all) => { all.at(-1).id = "last"; });
      await press(tab, "#last");
    },
  },
  schedules: { path: "/acme/payroll/settings/schedules", who: "bea" },
  runners: { path: "/acme/payroll/settings/runners", who: "bea" },
  "runners-none": { path: "/annex/workspace/settings/runners", who: "bea" },
  "runner-added": {
    path: "/acme/workspace/settings/runners",
    who: "bea",
    act: async (tab) => {
      await tab.type("#name", `build-${Date.now()}`);
      await tab.type("#labels", "gpu");
      await press(tab, "main button.primary");
    },
  },
  "openid-connect": {
    path: "/acme/payroll/settings/openid-connect",
    who: "bea",
    act: (tab) => tab.$$eval("details.policy", (all) => all.forEach((one) => { one.open = one === all[0] || one === all.at(-1); })),
  },
  "aws-roles": { path: "/acme/workspace/settings/aws-roles", who: "bea" },
  "aws-roles-none": { path: "/annex/workspace/settings/aws-roles", who: "bea" },
  "aws-role-one": { path: (world) => `/acme/workspace/settings/aws-roles/{${world.awsRole}}`, who: "bea" },
  "aws-role-new": {
    path: "/acme/workspace/settings/aws-roles",
    who: "bea",
    act: async (tab) => {
      await tab.type("#arn", "arn:aws:iam::123456789012:role/bastide-backup");
      await tab.type("#repository", "payroll");
      await press(tab, "main button.primary");
    },
  },
  "identity-tokens": { path: "/acme/workspace/settings/identity-tokens", who: "bea" },
  "workspace-tokens": { path: "/acme/workspace/settings/tokens", who: "bea" },
  "workspace-tokens-revoke": {
    path: "/acme/workspace/settings/tokens",
    who: "bea",
    act: async (tab) => {
      await tab.click("input[name=token]");
      await send(tab, "choose");
    },
  },
  "identity-provider": { path: "/acme/workspace/settings/identity-provider", who: "bea" },
  "identity-provider-none": { path: "/annex/workspace/settings/identity-provider", who: "bea" },
  "identity-provider-wrong": {
    path: "/annex/workspace/settings/identity-provider",
    who: "bea",
    fails: true,
    act: async (tab) => {
      await tab.type("#issuer", "https://localhost/realms/staff");
      await tab.type("#client_id", "bastide");
      await tab.type("#client_secret", "a secret");
      await press(tab, "main form button.primary");
    },
  },
  "identity-provider-remove": { path: "/acme/workspace/settings/identity-provider/remove", who: "bea" },
  "provider-sign-in": { path: "/-/sign-in?next=/acme" },
  "provider-sign-in-way": { path: "/-/sign-in?workspace=acme&next=/acme" },
  "provider-sign-in-wrong": { path: "/-/sign-in?workspace=nowhere", fails: true },
  "provider-connect": { path: "/-/sign-in/acme?next=/acme", who: "cyd", letsIn: atWork("cyd") },
  "provider-waits": {
    path: "/-/sign-in/acme?next=/acme",
    who: "nobody-new",
    letsIn: atWork("hal", { name: "Hal Berg", groups: ["design"] }),
    fails: true,
  },
  "account-waits": {
    path: "/-/sign-in/acme?next=/account",
    who: "nobody-new",
    letsIn: atWork("hal", { name: "Hal Berg", groups: ["design"] }),
  },
  identities: {
    path: "/-/sign-in/acme?next=/account",
    who: "gus",
    letsIn: atWork("gus"),
    act: async (tab) => {
      if (await tab.$("form[action='/-/sign-in/connect']")) await press(tab, "form[action='/-/sign-in/connect'] button");
      await tab.click("summary[aria-label^='Disconnect']");
    },
  },
  // Behind `identities`, which connects the identity. That it is some time since anybody proved who they are is said to
  // the database.
  "step-up-provider": {
    path: "/-/sign-in/acme?next=/account/api-tokens/new",
    who: "nobody-gus",
    letsIn: atWork("gus"),
    act: async (tab) => {
      const database = join(dirname(process.argv[3]), "data/bastide.db");
      execFileSync("sqlite3", [database, ".timeout 20000", "UPDATE session SET stepped_up_until = NULL"]);
      await tab.type("#name", "Nightly");
      await tab.click("input[value='admin:repository:bitbucket']");
      await press(tab, "main form button.primary");
    },
  },
  users: { path: "/-/users", who: "eve" },
  "users-waiting": { path: "/-/users?state=waiting", who: "eve" },
  "users-none": { path: "/-/users?q=zoe", who: "eve" },
  user: { path: "/-/users/cyd", who: "eve" },
  "user-waiting": { path: "/-/users/fay", who: "eve" },
  "user-reset-link": {
    path: "/-/users/cyd",
    who: "eve",
    act: (tab) => press(tab, "form[action$='/reset-link'] button"),
  },
  guardrails: { path: "/acme/workspace/settings/guardrails", who: "bea" },
  "guardrail-effect": {
    path: "/acme/workspace/settings/guardrails",
    who: "bea",
    act: async (tab) => {
      await tab.click("#second_step input[value=on]");
      await tab.click("#ip_allowlist input[value=report]");
      await tab.type("input[name=range]", "203.0.113.0/24");
      await tab.type("input[name=description]", "Office");
      await Promise.all([tab.waitForNavigation(), tab.click("button.primary[value=effect]")]);
    },
  },
  "guardrail-effect-instance": {
    path: "/-/guardrails",
    who: "eve",
    act: async (tab) => {
      await tab.click("#second_step input[value=on]");
      await Promise.all([tab.waitForNavigation(), tab.click("button.primary[value=effect]")]);
    },
  },
  "guardrails-wrong": {
    path: "/acme/workspace/settings/guardrails",
    who: "bea",
    fails: true,
    act: async (tab) => {
      await tab.click("#ip_allowlist input[value=on]");
      await tab.type("input[name=range]", "203.0.113");
      await Promise.all([tab.waitForNavigation(), tab.click("button.primary[value=effect]")]);
    },
  },
  "own-rule": { path: "/acme/workspace/settings/guardrails/new-rule", who: "bea" },
  "break-glass": { path: "/-/break-glass", who: "eve" },
  "break-glass-wrong": {
    path: "/-/break-glass",
    who: "eve",
    fails: true,
    act: async (tab) => {
      await tab.type("#workspace", "acmee");
      await tab.type("#reason", "Support case 4712: a clone hangs.");
      await press(tab, "main form button.primary");
    },
  },
  "break-glass-reads": { path: "/acme/payroll", who: "eve" },
  "break-glass-own-access": { path: "/account/access", who: "eve" },
  "workspace-break-glass": { path: "/acme/workspace/settings/break-glass", who: "bea" },
  "audit-events": { path: "/acme/workspace/settings/audit", who: "bea" },
  "audit-events-none": { path: "/acme/workspace/settings/audit?actor=nobody", who: "bea" },
  "audit-request": {
    path: "/acme/workspace/settings/audit?action=project.create",
    who: "bea",
    act: async (tab) => {
      await Promise.all([tab.waitForNavigation(), tab.click("#events a")]);
    },
  },
  alerts: { path: "/acme/workspace/settings/audit/alerts", who: "bea" },
  "alerts-all": { path: "/acme/workspace/settings/audit/alerts?list=all", who: "bea" },
  "alerts-instance": { path: "/-/audit/alerts", who: "eve" },
  "audit-receivers": { path: "/acme/workspace/settings/audit/receivers", who: "bea" },
  "audit-receiver-question": {
    path: "/acme/workspace/settings/audit/receivers",
    who: "bea",
    act: (tab) => tab.click(".confirm summary"),
  },
  "audit-receiver-wrong": {
    path: "/-/audit/receivers",
    who: "eve",
    fails: true,
    act: async (tab) => {
      await tab.type("#address", "http://logs.example.com");
      await press(tab, "main form button.primary");
    },
  },
  "audit-receiver-added": {
    path: "/-/audit/receivers",
    who: "eve",
    act: async (tab) => {
      await tab.type("#address", "https://logs.example.invalid/bastide");
      await press(tab, "main form button.primary");
    },
  },
  "refusal-find": { path: "/-/refusals", who: "bea" },
  refusal: {
    path: "/acme/website/settings/access-tokens",
    who: "cyd",
    fails: true,
    act: async (tab) => {
      await new Promise((done) => setTimeout(done, 1000));
      await Promise.all([tab.waitForNavigation(), tab.click("main a.button")]);
    },
  },
  refused: { path: "/acme/payroll/settings/access-tokens", who: "cyd", fails: true },
  tags: { path: "/acme/website/tags" },
};
