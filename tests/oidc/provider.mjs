// A real OpenID Connect provider for the tests (npm's `oidc-provider`), whose people sign in without a page: whom it lets
// in is told to it at /control. It begins with a new signing key each time, as a provider does that has changed its keys.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";
import { generateKeyPairSync, randomBytes } from "node:crypto";

const [port, callback] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
let somebody = { sub: "nobody" };

const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const key = { ...privateKey.export({ format: "jwk" }), kid: randomBytes(8).toString("hex"), use: "sig", alg: "RS256" };

const provider = new Provider(issuer, {
  clients: [{
    client_id: "bastide",
    client_secret: process.env.CLIENT_SECRET,
    redirect_uris: callback.split(","),
    grant_types: ["authorization_code"],
    response_types: ["code"],
  }],
  jwks: { keys: [key] },
  cookies: { keys: [randomBytes(16).toString("hex")] },
  claims: { openid: ["sub", "groups", "auth_time"], email: ["email", "email_verified"], profile: ["name", "preferred_username"] },
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: false } },
  pkce: { required: () => true },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ ...somebody, sub: id }) }),
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope("openid email profile");
    await grant.save();
    return grant;
  },
});

const answer = provider.callback();
createServer(async (request, response) => {
  if (request.url === "/control") {
    let text = "";
    for await (const piece of request) text += piece;
    somebody = JSON.parse(text);
    return response.end("{}");
  }
  if (request.url.startsWith("/interaction/")) {
    const login = { accountId: somebody.sub, remember: false };
    return provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
  }
  return answer(request, response);
}).listen(Number(port), "127.0.0.1", () => {
  process.stdout.write("ready\n");
  // Nobody reads what it says after that.
  console.info = console.log = console.warn = () => {};
});
