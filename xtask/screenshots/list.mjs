// Every page that a picture is taken of: its path, who looks (nobody where it does not say), what is done first.
const newToken = "/acme/payroll/settings/access-tokens/new";

async function send(tab, button) {
  await Promise.all([tab.waitForNavigation(), tab.click(`main form button[value=${button}]`)]);
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
  refused: { path: "/acme/payroll", who: "cyd", fails: true },
  tags: { path: "/acme/website/tags" },
};
