/**
 * A certified OpenID provider that this project did not write, as a test server: `oidc-provider`.
 *
 * Refresh tokens rotate at every use, without a grace: whoever presents a spent one ends the whole
 * family, the current tokens included. All of that is the library's doing. This file configures it,
 * hands out first refresh tokens without a browser, and counts what the library reports.
 *
 *     node server.mjs [--accounts 10] [--lifetime 20]
 *
 * prints `listening on http://127.0.0.1:PORT` once it answers, and serves, beside the library's own
 * endpoints (discovery, /token, /me, /token/revocation):
 *
 *     POST /mint/account-N   a new family: client, first refresh token, endpoints
 *     GET  /events           counts by account
 *
 * The counts: `minted` families; `refreshed` requests; `replayed` requests, granted although the
 * token was spent (never here, there is no grace); `refused` requests, of which `reused` for a
 * token known as spent; `revoked` families. Requests of no known client count under `unknown`.
 *
 * It listens on loopback only and ends on SIGTERM.
 */

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import Provider from 'oidc-provider';

import { memoryStore } from './store.mjs';

const FAMILY_LIFETIME_SECS = 24 * 60 * 60;
const SCOPE = 'openid offline_access';

const { accounts, lifetimeSecs } = commandLine();
const clients = new Map(accounts.map((account) => [account, clientOf(account)]));
const tallies = new Map([...accounts, 'unknown'].map((account) => [account, newTally()]));

const server = createServer();
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, configuration());
count(provider);
server.on('request', route(provider.callback()));
process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
console.log(`listening on ${issuer}`);

function commandLine() {
  const { values } = parseArgs({
    options: {
      accounts: { type: 'string', default: '10' },
      lifetime: { type: 'string', default: '20' },
    },
  });
  const names = Array.from({ length: wholeNumber(values.accounts, 1000) }, (_, at) => `account-${at + 1}`);
  return { accounts: names, lifetimeSecs: wholeNumber(values.lifetime, FAMILY_LIFETIME_SECS) };
}

function wholeNumber(text, most) {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > most) {
    throw new RangeError(`${text} is not a whole number from 1 to ${most}`);
  }
  return number;
}

/** One client for each account, so that what the library reports of a client is the account's. */
function clientOf(account) {
  return {
    client_id: `client-of-${account}`,
    client_secret: randomBytes(32).toString('base64url'),
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: ['http://127.0.0.1/callback'],
    application_type: 'native',
    id_token_signed_response_alg: 'ES256',
  };
}

function newTally() {
  return { minted: 0, refreshed: 0, replayed: 0, refused: 0, reused: 0, revoked: 0 };
}

function configuration() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    adapter: memoryStore(),
    clients: [...clients.values()],
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    features: { devInteractions: { enabled: false }, revocation: { enabled: true } },
    findAccount: (_ctx, id) => (clients.has(id) ? { accountId: id, claims: () => ({ sub: id }) } : undefined),
    issueRefreshToken: () => true,
    jwks: { keys: [privateKey.export({ format: 'jwk' })] },
    rotateRefreshToken: true,
    scopes: SCOPE.split(' '),
    ttl: {
      AccessToken: lifetimeSecs,
      Grant: FAMILY_LIFETIME_SECS,
      IdToken: lifetimeSecs,
      RefreshToken: FAMILY_LIFETIME_SECS,
    },
  };
}

/** Counts the library's own events. */
function count(source) {
  source.on('grant.success', (ctx) => {
    tallyOf(ctx).refreshed += 1;
  });
  source.on('grant.error', (ctx, error) => {
    const tally = tallyOf(ctx);
    tally.refused += 1;
    if (error.error_detail === 'refresh token already used') tally.reused += 1;
  });
  source.on('grant.revoked', (ctx) => {
    tallyOf(ctx).revoked += 1;
  });
  source.on('server_error', (_ctx, error) => console.error(error.stack));
}

function tallyOf(ctx) {
  const account = ctx.oidc.client?.clientId.replace(/^client-of-/, '') ?? 'unknown';
  return tallies.get(account);
}

/** Our two endpoints, and the library for everything else. */
function route(library) {
  return (request, response) => {
    const account = /^\/mint\/([a-z0-9_-]{1,40})$/.exec(request.url)?.[1];
    if (request.method === 'POST' && clients.has(account)) {
      mint(account).then(
        (minted) => answer(response, 201, minted),
        (error) => {
          console.error(error.stack);
          answer(response, 500, { error: 'server_error' });
        },
      );
    } else if (request.method === 'GET' && request.url === '/events') {
      answer(response, 200, Object.fromEntries(tallies));
    } else {
      library(request, response);
    }
  };
}

/** What a person's consent in a browser would have led to: a grant and its first refresh token. */
async function mint(account) {
  const client = await provider.Client.find(clients.get(account).client_id);
  const grant = new provider.Grant({ accountId: account, clientId: client.clientId });
  grant.addOIDCScope(SCOPE);
  const refreshToken = new provider.RefreshToken({
    accountId: account,
    client,
    grantId: await grant.save(),
    gty: 'authorization_code',
    scope: SCOPE,
  });
  const value = await refreshToken.save();
  tallies.get(account).minted += 1;
  return {
    account,
    issuer,
    token_endpoint: `${issuer}/token`,
    try_endpoint: `${issuer}/me`,
    client_id: client.clientId,
    client_secret: clients.get(account).client_secret,
    refresh_token: value,
  };
}

function answer(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
