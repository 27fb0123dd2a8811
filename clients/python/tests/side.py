"""Both kinds of client, behind one face."""

import inspect

import genservice_client


class FakeClock(genservice_client.Clock):
    """Time passes only in sleeps, and they take none."""

    def __init__(self):
        self.time = 0.0
        self.sleeps = []

    def now(self):
        return self.time

    def random(self):
        return 0.0

    def sleep(self, seconds):
        self.sleeps.append(seconds)
        self.time += seconds

    async def sleep_async(self, seconds):
        self.sleep(seconds)


class Side:
    """One kind of client: `await` what it returns through `call`, and iterate through `collect`."""

    def __init__(self, kind):
        self.kind = kind
        self.clock = FakeClock()
        self._clients = []

    def client(self, target, **settings):
        client_class = {"sync": genservice_client.Client, "async": genservice_client.AsyncClient}[self.kind]
        return self._opened(client_class(target, **{"clock": self.clock} | settings))

    def admin(self, target, **settings):
        client_class = {"sync": genservice_client.AdminClient, "async": genservice_client.AsyncAdminClient}[self.kind]
        return self._opened(client_class(target, **{"clock": self.clock} | settings))

    async def call(self, result):
        return await result if inspect.isawaitable(result) else result

    async def collect(self, iterable, limit=None):
        items = []
        if hasattr(iterable, "__aiter__"):
            async for item in iterable:
                items.append(item)
                if len(items) == limit:
                    break
        else:
            for item in iterable:
                items.append(item)
                if len(items) == limit:
                    break
        return items

    async def close(self):
        for client in self._clients:
            await self.call(client.close())

    def _opened(self, client):
        self._clients.append(client)
        return client
