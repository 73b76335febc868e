// A small world for pictures, made through the public interface and the real git.
import { execFileSync } from "node:child_process";
import { mkdtempSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CLIENT_SECRET, startProvider } from "./provider.mjs";

export const PASSWORD = "correct horse battery staple";

async function call(site, authorization, method, path, body) {
  const headers = { authorization, "content-type": "application/json" };
  const send = () => fetch(site + path, { method, headers, body: body && JSON.stringify(body) });
  let answer = await send();
  // A server that has just started answers before it is open.
  for (let tries = 0; answer.status === 503 && tries < 120; tries += 1) {
    await new Promise((done) => setTimeout(done, 500));
    answer = await send();
  }
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

// The workspace's people may sign in through a provider of their own.
async function identityProvider(site, owner) {
  const path = "/api/workspaces/acme/identity-provider";
  const { redirect_uri: callback } = await call(site, owner, "GET", path);
  const provider = await startProvider(callback);
  const body = {
    issuer: provider.issuer, client_id: "bastide", client_secret: CLIENT_SECRET, groups_claim: "groups",
    group_mapping: [{ claim: "design", group: "designers" }], makes_accounts: true,
  };
  const headers = { authorization: owner, "content-type": "application/json", "if-match": "*" };
  const set = await fetch(site + path, { method: "PUT", headers, body: JSON.stringify(body) });
  if (!set.ok) throw new Error(`an identity provider: ${set.status} ${await set.text()}`);
  return provider;
}

const basic = (user, secret) => "Basic " + Buffer.from(`${user}:${secret}`).toString("base64");

function git(folder, words, more = {}) {
  const who = { GIT_AUTHOR_NAME: "Ann Example", GIT_AUTHOR_EMAIL: "ann@example.com" };
  const committer = { GIT_COMMITTER_NAME: "Ann Example", GIT_COMMITTER_EMAIL: "ann@example.com" };
  execFileSync("git", words, { cwd: folder, stdio: "pipe", env: { ...process.env, ...who, ...committer, ...more } });
}

const README = `# Website

The public site of Acme: pages, styles and the small service that takes orders.

| Part | Where | Who |
|------|-------|-----|
| Pages | \`pages/\` | Design |
| Service | [src](src/order.rs) | Orders |

## Build

\`\`\`sh
cargo build --release
./target/release/website --listen 127.0.0.1:8080
\`\`\`

1. Read the [guide](docs/guide.md).
2. Ask in the channel *before* you deploy on a Friday.

> Orders are kept for ten years. Do not change the format without a migration.

![Build status](https://ci.example.com/badge.svg)
`;

function tree(folder) {
  const put = (path, text) => {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  git(folder, ["init", "-q", "-b", "main"]);
  put("README.md", README);
  put("docs/guide.md", "# Guide\n\nHow to work here.\n");
  put("src/order.rs", `//! Orders.\n\n/// An order.\npub struct Order {\n    pub id: u64,\n    pub lines: Vec<Line>,\n}\n\nimpl Order {\n    /// The sum of all lines, in cents.\n    pub fn total(&self) -> u64 {\n        self.lines.iter().map(|line| line.price * line.count).sum()\n    }\n}\n`);
  put("pages/index.html", "<!doctype html>\n<title>Acme</title>\n<h1>Acme</h1>\n");
  put("assets/logo.bin", Buffer.from([0, 1, 2, 3, 0, 255]));
  put("Cargo.toml", '[package]\nname = "website"\nversion = "1.4.0"\n');
  git(folder, ["add", "-A"]);
  git(folder, ["commit", "-qm", "Begin the website"]);
  put("src/order.rs", `//! Orders.\n\n/// An order.\npub struct Order {\n    pub id: u64,\n    pub lines: Vec<Line>,\n    pub currency: Currency,\n}\n\nimpl Order {\n    /// The sum of all lines, in the currency's smallest unit.\n    pub fn total(&self) -> u64 {\n        self.lines.iter().map(|line| line.price.saturating_mul(line.count)).sum()\n    }\n}\n`);
  put("src/currency.rs", "/// What an order is paid in.\npub enum Currency {\n    Euro,\n    Yen,\n}\n");
  git(folder, ["rm", "-q", "assets/logo.bin"]);
  git(folder, ["add", "-A"]);
  git(folder, ["commit", "-qm", "Orders know their currency\n\nThe sum overflowed for very large orders; it saturates now.\nYen have no cents, so amounts are in the smallest unit."]);
  git(folder, ["tag", "-a", "v1.4.0", "-m", "Version 1.4.0"]);
  git(folder, ["branch", "feature/checkout"]);
}

// What stands out, and where it is sent: a guardrail that was loosened, owners and administrators that were made.
async function watched(site, owner, root) {
  const path = "/api/workspaces/acme/guardrails";
  for (const mode of ["on", "off"]) {
    const seen = await fetch(site + path, { headers: { authorization: owner } });
    const headers = { authorization: owner, "content-type": "application/json", "if-match": seen.headers.get("etag") };
    const set = await fetch(site + path, { method: "PUT", headers, body: JSON.stringify({ no_forks_outside: { mode } }) });
    if (!set.ok) throw new Error(`a guardrail: ${set.status} ${await set.text()}`);
  }
  for (const sinks of [
    { kind: "webhook", address: "https://logs.example.invalid/bastide", from_beginning: true },
    { kind: "syslog", address: "syslog.example.invalid:6514" },
  ]) {
    await call(site, owner, "POST", "/api/workspaces/acme/audit/sinks", sinks);
  }
  const alerts = async (of, authorization) => (await call(site, authorization, "GET", of)).values;
  for (let tries = 0; tries < 120; tries += 1) {
    const [ours, theirs] = [await alerts("/api/workspaces/acme/alerts", owner), await alerts("/api/alerts", root)];
    if (ours.length >= 2 && theirs.length >= 1) {
      const made = ours.find((alert) => alert.pattern === "administrator-made");
      await call(site, owner, "PUT", `/api/workspaces/acme/alerts/${made.uuid}/acknowledgement`);
      return;
    }
    await new Promise((done) => setTimeout(done, 500));
  }
  throw new Error("no alerts were raised");
}

// One request that is in force, one that was refused, and one that waits.
async function breakGlass(site, as) {
  const [eve, flo] = [basic("eve", PASSWORD), basic("flo", PASSWORD)];
  const place = "/api/workspaces/acme/break-glass";
  const ask = (who, reason, hours) => call(site, who, "POST", place, { reason, hours });
  const refused = await ask(eve, "Curious what the new site looks like before it is announced.", 12);
  await as("DELETE", `${place}/${encodeURIComponent(refused.uuid)}`);
  const given = await ask(eve, "Support case 4711: pushes to the website fail since Tuesday.\nBea Okafor asked us to look at the hook's log.", 2);
  await call(site, flo, "PUT", `${place}/${encodeURIComponent(given.uuid)}/approval`);
  await ask(flo, "The restore of payroll after the disk failure has to be compared with the backup.", 4);
}

// What pipelines have in the settings.
async function automated(site, as, owner) {
  const repository = "/2.0/repositories/acme/payroll";
  const made = (path, body) => call(site, as, "POST", path, body);
  await made(`${repository}/pipelines-config/runners`, { name: "build-1", labels: ["gpu", "big.memory"] });
  await made(`${repository}/pipelines-config/runners`, { name: "build-2" });
  const variables = `${repository}/pipelines_config/variables`;
  await made(variables, { key: "DEPLOY_KEY", value: "s3cret", secured: true, protected_only: true, environments: ["Production"] });
  await made(variables, { key: "LOG_LEVEL", value: "info" });
  await made("/2.0/workspaces/acme/pipelines-config/variables", { key: "REGISTRY", value: "registry.example.com/acme" });
  const found = await call(site, as, "GET", `${repository}/environments`);
  const production = found.values.find((one) => one.name === "Production").uuid;
  const restrictions = { admin_only: true, branch_restrictions: [{ pattern: "main" }, { pattern: "release/*" }] };
  await made(`${repository}/environments`, { name: "Production EU", environment_type: { name: "Production" }, restrictions });
  await made(`${repository}/deployments_config/environments/${encodeURIComponent(production)}/variables`, { key: "HOST", value: "payroll.example.com" });
  await call(site, as, "PUT", `${repository}/pipelines_config/ssh/key_pair`, {});
  const host = { key_type: "ssh-ed25519", key: "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl" };
  await made(`${repository}/pipelines_config/ssh/known_hosts`, { hostname: "deploy.example.com", public_key: host });
  await call(site, as, "PUT", "/api/repositories/acme/payroll/dynamic-pipelines", { address: "https://ci.example.com/pipelines", rules: RULES });
  const target = { ref_type: "branch", ref_name: "main", selector: { type: "branches" } };
  await made(`${repository}/pipelines_config/schedules`, { cron_pattern: "0 30 2 * * ? *", target });
  await made(`${repository}/pipelines_config/schedules`, { cron_pattern: "0 0 6 ? * MON *", target: { ...target, selector: { type: "custom", pattern: "audit" } }, enabled: false });
  await call(site, owner, "POST", "/api/workspaces/acme/identity-tokens/keys", {});
  const role = (name, grants) => ({ arn: `arn:aws:iam::123456789012:role/${name}`, mode: "web-identity", region: "eu-central-1", grants });
  await call(site, owner, "POST", "/api/workspaces/acme/aws-roles", role("bastide-reports", []));
  const deploys = role("bastide-deploy", [{ repository: "payroll", ref: "main", protected_only: true, environment: "Production EU" }, { repository: "website", ref: "release/*" }]);
  const named = await call(site, owner, "POST", "/api/workspaces/acme/aws-roles", deploys);
  return named.uuid.replace(/[{}]/g, "");
}

const RULES = `require:
  steps:
    - first:
        name: Secret scan
        image: registry.example.com/acme/scan:2
        script: [scan .]
  images: ["registry.example.com/**", postgres]
`;

const PIPELINE = `image: registry.example.com/acme/build:4
definitions:
  services:
    database: {image: postgres:17}
pipelines:
  default:
    - step:
        name: Test
        services: [database]
        caches: [node]
        script: [npm ci, npm test]
    - parallel:
        - step: {name: Lint, script: [npm run lint]}
        - step: {name: Scan, script: [npm audit]}
    - step:
        name: Deploy
        deployment: Production
        trigger: manual
        oidc: true
        script: [./deploy.sh]
  branches:
    release/*:
      - step: {name: Ship, deployment: Staging, script: [./deploy.sh staging]}
`;

// A run under way: one step has passed, one has failed, one runs; by a runner that speaks the protocol and does nothing.
async function running(site, as) {
  const place = "/2.0/repositories/acme/website";
  const { registration } = await call(site, as, "POST", `${place}/pipelines-config/runners`, { name: "build-3" });
  const program = { version: "1.0.0", os: "linux", arch: "x86_64", containers: "podman 5.4.2" };
  const registered = await call(site, "", "POST", "/api/runner/register", { protocol: 1, code: registration.code, program });
  const runner = `Bearer ${registered.credential}`;
  await call(site, as, "PUT", "/api/repositories/acme/website/dynamic-pipelines", { rules: RULES });
  const body = new URLSearchParams({ "bitbucket-pipelines.yml": PIPELINE, message: "Build, scan and deploy the site", branch: "main" });
  const sent = await fetch(`${site}${place}/src`, { method: "POST", headers: { authorization: as }, body });
  if (!sent.ok) throw new Error(`a pipeline: ${sent.status} ${await sent.text()}`);
  const claim = () => call(site, runner, "POST", "/api/runner/claim", { protocol: 1, program, labels: ["linux", "linux.shell"], wait: 20 });
  const print = async (job, text) => {
    const path = `/api/runner/steps/${job.step}/logs/step?attempt=${job.attempt}&offset=0`;
    const answer = await fetch(site + path, { method: "POST", headers: { authorization: runner }, body: text });
    if (!answer.ok) throw new Error(`a log: ${answer.status} ${await answer.text()}`);
  };
  const finish = (job, verdict) => call(site, runner, "POST", `/api/runner/steps/${job.step}/finish`, { attempt: job.attempt, verdict });
  const secrets = await claim();
  await print(secrets, "+ scan .\n0 secrets in 214 files\n");
  await finish(secrets, { verdict: "passed" });
  const test = await claim();
  await print(test, `Runner: build-3\nImage: registry.example.com/acme/build:4\nCloning acme/website\nCache node: 48 MiB\n+ npm ci\nadded 412 packages in 6s\n+ npm test\n\u001b[32m  ✓ adds VAT\u001b[0m\n\u001b[32m  ✓ rounds to cents\u001b[0m\n\u001b[33m  - sends a receipt (skipped)\u001b[0m\n\u001b[1m412 passed\u001b[0m, 1 skipped\n`);
  await finish(test, { verdict: "passed" });
  const [lint, scan] = [await claim(), await claim()];
  await print(lint, "+ npm run lint\nsrc/order.ts:3:14  \u001b[31merror\u001b[0m  'total' is never reassigned. Use 'const' instead  \u001b[2mprefer-const\u001b[0m\n\n\u001b[31m1 problem (1 error, 0 warnings)\u001b[0m\n");
  const ended = (name, status, duration, more) => ({ suite: "rules", class_name: "src/order.ts", name, status, duration, ...more });
  const cases = [
    ended("prefer-const", "failed", 41_000, { reason: "'total' is never reassigned", output: "src/order.ts:3:14\n  let total = sum(lines);\n      ^^^^^" }),
    ended("no-unused-vars", "passed", 3_000),
    ended("max-lines", "skipped", 0),
  ];
  const report = { totals: { passed: 410, failed: 1, errors: 0, skipped: 1, duration: 5_900_000 }, cases };
  await call(site, runner, "PUT", `/api/runner/steps/${lint.step}/test-report?attempt=${lint.attempt}`, report);
  for (const [name, size] of [["lint-report", 48_000], ["screens", 2_300_000]]) {
    const path = `/api/runner/steps/${lint.step}/artifacts/${name}?attempt=${lint.attempt}`;
    const kept = await fetch(site + path, { method: "PUT", headers: { authorization: runner }, body: new Uint8Array(size) });
    if (!kept.ok) throw new Error(`an artifact: ${kept.status} ${await kept.text()}`);
  }
  await finish(lint, { verdict: "failed", exit_code: 1 });
  await print(scan, "+ npm audit\nReading 412 packages\n");

  // Another run, that waits for two approvals.
  const environments = await call(site, as, "GET", `${place}/environments`);
  const staging = encodeURIComponent(environments.values.find((one) => one.name === "Staging").uuid);
  const restrictions = { restrictions: { required_approvals: 2 } };
  await call(site, as, "POST", `${place}/environments/${staging}/changes`, restrictions);
  await call(site, as, "PUT", `${place}/permissions-config/users/cyd`, { permission: "admin" });
  const release = new URLSearchParams({ "NEWS.md": "Orders have a summary.\n", message: "Prepare the release", branch: "release/1" });
  const pushed = await fetch(`${site}${place}/src`, { method: "POST", headers: { authorization: as }, body: release });
  if (!pushed.ok) throw new Error(`a release: ${pushed.status} ${await pushed.text()}`);
  await finish(await claim(), { verdict: "passed" });
}

// What builds and scanners say of a commit.
async function told(site, as, hash) {
  const commit = `/2.0/repositories/acme/website/commit/${hash}`;
  const build = { url: "https://ci.example.com/{repository.full_name}/{commit.hash}", refname: "main" };
  await call(site, as, "POST", `${commit}/statuses/build`, { ...build, key: "lint", state: "FAILED", name: "Lint", description: "2 files are not formatted" });
  await call(site, as, "POST", `${commit}/statuses/build`, { ...build, key: "deploy", state: "INPROGRESS", name: "Preview" });
  await call(site, as, "POST", `${commit}/statuses/build`, { ...build, key: "test", state: "SUCCESSFUL", name: "Tests", description: "412 tests" });
  const data = [{ title: "Lines reached", type: "PERCENTAGE", value: 81.5 }, { title: "Took", type: "DURATION", value: 95000 }, { title: "Report", type: "LINK", value: { text: "Whole report", href: "https://cov.example.com/1" } }];
  await call(site, as, "PUT", `${commit}/reports/coverage`, { title: "Coverage", reporter: "cov 2.1", result: "PASSED", report_type: "COVERAGE", details: "Lines that the tests of this commit reach.", data });
  const rule = (id, text, score) => ({ id, shortDescription: { text }, helpUri: `https://rules.example.com/${id}`, properties: { "security-severity": score, tags: ["security"] } });
  const found = (ruleId, uri, startLine, text, more) => ({ ruleId, message: { text }, locations: [{ physicalLocation: { artifactLocation: { uri }, region: { startLine } } }], ...more });
  const driver = { name: "Scanner", version: "1.99.0", informationUri: "https://scanner.example.com", rules: [rule("sql-injection", "A query is put together from input", "9.3"), rule("weak-hash", "A hash that is broken", "5.0")] };
  const results = [
    found("sql-injection", "src/order.rs", 3, "The value of `order` comes from the request and ends in the text of a query."),
    found("weak-hash", "README.md", 1, "Use SHA-256."),
    found("weak-hash", "src/order.rs", 5, "Use SHA-256.", { suppressions: [{ kind: "inSource" }] }),
  ];
  await call(site, as, "POST", `/api/repositories/acme/website/commit/${hash}/sarif`, { version: "2.1.0", runs: [{ tool: { driver }, results }] });
}

// Makes the world and gives what the pictures need of it.
export async function build(site, administrator) {
  const root = basic(administrator.email, administrator.api_token);
  const as = (method, path, body) => call(site, root, method, path, body);
  for (const [username, name] of [["bea", "Bea Okafor"], ["cyd", "Cyd Lindqvist"], ["dee", "Dee Abara"], ["fay", "Fay Novak"], ["gus", "Gus Ito"]]) {
    await as("POST", "/api/users", { username, email: `${username}@example.com`, display_name: name, password: PASSWORD });
  }
  const staff = { username: "eve", email: "eve@example.com", display_name: "Eve Moreau", password: PASSWORD };
  await as("POST", "/api/users", staff);
  await as("PUT", "/api/users/eve", { staff_role: "administrator" });
  await as("DELETE", "/api/users/fay/approval");
  await as("POST", "/api/users", { username: "flo", email: "flo@example.com", display_name: "Flo Sato", password: PASSWORD });
  await as("PUT", "/api/users/flo", { staff_role: "administrator" });
  await as("POST", "/api/workspaces", { slug: "acme", name: "Acme" });
  await as("POST", "/api/workspaces", { slug: "annex", name: "Annex" });
  const owner = basic("bea", PASSWORD);
  await as("PUT", "/api/workspaces/acme/members/bea", { permission: "owner" });
  await as("PUT", "/api/workspaces/annex/members/bea", { permission: "owner" });
  await as("PUT", "/api/workspaces/acme/members/cyd", { permission: "member" });
  await as("PUT", "/api/workspaces/acme/members/gus", { permission: "member" });
  const scopes = ["repository:admin", "repository:write", "project", "project:admin", "account", "account:write", "pipeline:write", "pipeline:variable", "runner:write"];
  const app = await call(site, owner, "POST", "/api/user/app-passwords", { name: "pictures", scopes });
  const bea = basic("bea", app.token);
  const made = (path, body) => call(site, bea, "POST", path, body);
  await made("/2.0/workspaces/acme/projects", { key: "WEB", name: "Web", description: "Everything that customers see.", is_private: false });
  await made("/2.0/workspaces/acme/projects", { key: "PAY", name: "Payroll", is_private: true });
  const repository = (slug, project, open, description) =>
    made(`/2.0/repositories/acme/${slug}`, { scm: "git", is_private: !open, description, project: { key: project } });
  await repository("website", "WEB", true, "The public site, and the service that takes orders.");
  await repository("design-tokens", "WEB", true, "Colours, type and spacing.");
  await repository("payroll", "PAY", false, "Salaries. Nobody else's business.");
  const group = new URLSearchParams({ name: "Designers" });
  const groups = { "content-type": "application/x-www-form-urlencoded" };
  const grouped = await fetch(`${site}/1.0/groups/acme`, { method: "POST", headers: { ...groups, authorization: bea }, body: group });
  if (!grouped.ok) throw new Error(`a group: ${grouped.status} ${await grouped.text()}`);
  await call(site, bea, "PUT", "/1.0/groups/acme/designers/members/cyd", {});
  await call(site, bea, "PUT", "/2.0/repositories/acme/payroll/permissions-config/groups/designers", { permission: "read" });
  const folder = mkdtempSync(join(tmpdir(), "bastide-pictures-"));
  tree(folder);
  const header = { GIT_CONFIG_COUNT: "1", GIT_CONFIG_KEY_0: "http.extraHeader", GIT_CONFIG_VALUE_0: `Authorization: ${bea}` };
  git(folder, ["push", "-q", `${site}/acme/website.git`, "main", "feature/checkout", "v1.4.0"], header);
  git(folder, ["push", "-q", `${site}/acme/payroll.git`, "main"], header);
  const restrictions = "/2.0/repositories/acme/payroll/branch-restrictions";
  const writers = { users: [{ username: "bea" }], groups: [{ slug: "designers" }] };
  await call(site, bea, "POST", restrictions, { kind: "push", pattern: "release/*", ...writers });
  await call(site, bea, "POST", restrictions, { kind: "force", branch_match_kind: "branching_model", branch_type: "development" });
  const token = { name: "Deploy to production", scopes: ["repository"] };
  await call(site, owner, "POST", "/api/repositories/acme/payroll/access-tokens", token);
  const ci = { name: "Nightly mirror", scopes: ["repository:write", "pullrequest"] };
  await call(site, owner, "POST", "/api/repositories/acme/payroll/access-tokens", ci);
  const awsRole = await automated(site, bea, owner);
  await watched(site, owner, root);
  await breakGlass(site, as);
  const commits = await call(site, bea, "GET", "/2.0/repositories/acme/website/commits");
  await told(site, bea, commits.values[0].hash);
  await running(site, bea);
  const provider = await identityProvider(site, owner);
  return { commit: commits.values[0].hash, provider, awsRole };
}
