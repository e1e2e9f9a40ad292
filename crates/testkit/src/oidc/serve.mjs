// An OpenID provider on this machine, for tests: panva's, with people and twists that a test chooses.
// `argv[2]` is the directory of its modules, `argv[3]` how many seconds it may run at most. It prints its
// port, and ends with its standard input.
//
// A test speaks to it by `POST /test` with JSON: `redirect` (where it may send browsers back to), `people`
// (claims by login), `inline` (whether claims stand in the token), `alg` (what signs it), `rotate` (other
// keys), `twist` (what is wrong with the tokens from then on).
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [, , modules, seconds] = process.argv;
const { default: Provider } = await import(pathToFileURL(join(modules, 'oidc-provider/lib/index.js')));
const jose = createRequire(join(modules, 'x.js'))('jose');

// Nobody reads standard output behind the port.
console.info = console.log = console.error;
process.stdin.resume().on('end', () => process.exit(0));
setTimeout(() => process.exit(3), Number(seconds) * 1000).unref();

const secret = 'a secret that only the console and this provider have';
const state = { redirect: 'http://127.0.0.1/none', people: {}, inline: false, alg: 'RS256', twist: '' };
let issuer, handle, keys;

async function newKeys() {
  const made = await Promise.all(['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'].map(async (alg) => {
    const { privateKey } = await jose.generateKeyPair(alg, { extractable: true, modulusLength: 2048, crv: 'Ed25519' });
    const kid = `${alg}-${Math.random().toString(36).slice(2)}`;
    return { ...(await jose.exportJWK(privateKey)), kid, alg, use: 'sig' };
  }));
  return made;
}

function build() {
  const provider = new Provider(issuer, {
    clients: [{
      client_id: 'console', client_secret: secret, redirect_uris: [state.redirect],
      response_types: ['code'], grant_types: ['authorization_code'], id_token_signed_response_alg: state.alg,
    }],
    jwks: { keys },
    pkce: { methods: ['S256'], required: () => true },
    claims: { openid: ['sub'], profile: ['preferred_username', 'groups'], email: ['email', 'email_verified'] },
    conformIdTokenClaims: !state.inline,
    enabledJWA: {
      idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'HS256'],
    },
    cookies: { keys: ['for tests'] },
    findAccount: (ctx, id) => ({
      accountId: id,
      claims: () => ({ sub: id, ...state.people[id] }),
    }),
  });
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.oidc?.route === 'token' && ctx.body?.id_token) ctx.body.id_token = await twisted(ctx.body.id_token);
    if (ctx.oidc?.route === 'userinfo' && state.twist === 'userinfo') ctx.body = { ...ctx.body, sub: 'somebody-else' };
  });
  handle = provider.callback();
}

// The same token, with one thing wrong, signed by the provider's own key where it can be.
async function twisted(token) {
  const claims = jose.decodeJwt(token);
  const header = jose.decodeProtectedHeader(token);
  const base64 = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const sign = async (jwk, changed) =>
    new jose.SignJWT({ ...claims, ...changed }).setProtectedHeader(header).sign(await jose.importJWK(jwk, header.alg));
  const ours = (changed) => sign(keys.find((key) => key.kid === header.kid), changed);
  switch (state.twist) {
    case 'nonce': return ours({ nonce: 'another' });
    case 'audience': return ours({ aud: 'another' });
    case 'issuer': return ours({ iss: 'https://elsewhere.example' });
    case 'expired': return ours({ iat: claims.iat - 1000, exp: claims.iat - 500 });
    case 'none': return `${base64({ alg: 'none' })}.${base64(claims)}.`;
    case 'hs256': return new jose.SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(secret));
    case 'stranger': return sign((await newKeys()).find((key) => key.alg === header.alg), {});
    default: return token;
  }
}

async function told(request, response) {
  let text = '';
  for await (const chunk of request) text += chunk;
  const { rotate, ...changed } = JSON.parse(text);
  Object.assign(state, changed);
  if (rotate) keys = await newKeys();
  // What a provider has issued is gone with it.
  if (rotate || 'redirect' in changed || 'inline' in changed || 'alg' in changed) build();
  response.end('{}');
}

const server = createServer((request, response) => {
  if (request.url === '/test') return told(request, response);
  if (state.twist === 'down') return request.socket.destroy();
  return handle(request, response);
});
server.listen(0, '127.0.0.1', async () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  keys = await newKeys();
  build();
  process.stdout.write(`${server.address().port}\n`);
});
