/**
 * The memory of the provider: every artifact by model and id, and by grant.
 *
 * The library's own in-memory adapter keeps the last 1000 artifacts and forgets the oldest. A spent
 * refresh token that is forgotten is "not found" instead of "reused", and its family lives on: the
 * one thing that the tests are about. Here an artifact lives until it expires.
 *
 * Every method settles without I/O, so a request is decided before the next one is read.
 */

/** Shortest time between two removals of expired artifacts, in milliseconds. */
const SWEEP_EVERY_MS = 10_000;

/** Makes the factory that the library calls once for each of its models. */
export function memoryStore() {
  const store = new Store();
  return (model) => new ModelView(model, store);
}

/** One model's part of the store, in the shape of the library's adapter contract. */
class ModelView {
  constructor(model, store) {
    this.model = model;
    this.store = store;
  }

  async upsert(id, payload, expiresInSecs) {
    this.store.put(this.#key(id), payload, expiresInSecs);
  }

  async find(id) {
    return this.store.get(this.#key(id));
  }

  async findByUid(uid) {
    return this.store.first(this.model, (payload) => payload.uid === uid);
  }

  async findByUserCode(userCode) {
    return this.store.first(this.model, (payload) => payload.userCode === userCode);
  }

  async consume(id) {
    const payload = this.store.get(this.#key(id));
    if (payload) payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    this.store.remove(this.#key(id));
  }

  async revokeByGrantId(grantId) {
    this.store.removeFamily(grantId);
  }

  #key(id) {
    return `${this.model}:${id}`;
  }
}

/** All artifacts. Invariant: `families` lists exactly the kept artifacts that carry a grant id. */
class Store {
  #entries = new Map();
  #families = new Map();
  #sweptAt = Date.now();

  put(key, payload, expiresInSecs) {
    this.#sweep();
    this.remove(key);
    const expiresAt = typeof expiresInSecs === 'number' ? Date.now() + expiresInSecs * 1000 : Infinity;
    this.#entries.set(key, { payload, expiresAt });
    if (payload.grantId) {
      const members = this.#families.get(payload.grantId) ?? new Set();
      this.#families.set(payload.grantId, members.add(key));
    }
  }

  get(key) {
    const entry = this.#entries.get(key);
    return entry && entry.expiresAt > Date.now() ? entry.payload : undefined;
  }

  first(model, matches) {
    for (const [key, { payload }] of this.#entries) {
      if (key.startsWith(`${model}:`) && matches(payload)) return this.get(key);
    }
    return undefined;
  }

  remove(key) {
    const grantId = this.#entries.get(key)?.payload.grantId;
    this.#entries.delete(key);
    const members = this.#families.get(grantId);
    if (members?.delete(key) && members.size === 0) this.#families.delete(grantId);
  }

  removeFamily(grantId) {
    for (const key of [...(this.#families.get(grantId) ?? [])]) this.remove(key);
  }

  #sweep() {
    const now = Date.now();
    if (now - this.#sweptAt < SWEEP_EVERY_MS) return;
    this.#sweptAt = now;
    for (const [key, { expiresAt }] of this.#entries) {
      if (expiresAt <= now) this.remove(key);
    }
  }
}
