// The identity provider of the tests, for the pictures of signing in through one. Its packages lie in BASTIDE_OIDC.
import { spawn } from "node:child_process";
import { createServer } from "node:net";

export const CLIENT_SECRET = "a secret of the pictures alone";

async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

// Starts it; `callback` is where it sends people back to.
export async function startProvider(callback) {
  const port = await freePort();
  const child = spawn("node", ["provider.mjs", String(port), callback], {
    cwd: process.env.BASTIDE_OIDC,
    env: { ...process.env, CLIENT_SECRET },
    stdio: ["ignore", "pipe", "ignore"],
  });
  process.on("exit", () => child.kill());
  await new Promise((done, fail) => {
    child.stdout.once("data", done);
    child.once("exit", () => fail(new Error("the identity provider has stopped")));
  });
  const issuer = `http://127.0.0.1:${port}`;
  // Whom it lets in from now on.
  const letsIn = (claims) => fetch(`${issuer}/control`, { method: "POST", body: JSON.stringify(claims) });
  return { issuer, letsIn };
}
