// Every page that a picture is taken of: its path, who looks (nobody where it does not say), what is done first.
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
  tags: { path: "/acme/website/tags" },
};
