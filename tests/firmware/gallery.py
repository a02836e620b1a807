"""Requests to a board, and the gallery's page as browsers load it."""

import gzip
import http.client
import queue
import re
import threading

from board import ROOT

GALLERY = ROOT / "examples/gallery"
# About as much as a browser sends for an image.
BROWSER = {
    "Accept-Encoding": "gzip",
    "Accept": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
    "Accept-Language": "en-GB,en-US;q=0.9,en;q=0.8",
    "Cookie": "session=0123456789abcdef0123456789abcdef",
    "Referer": "http://microdot.local/index.html",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
}


def connect(board):
    return http.client.HTTPConnection("127.0.0.1", board.port, timeout=10)


def ask(connection, path, method="GET", body=None):
    connection.request(method, path, body=body)
    response = connection.getresponse()
    return response.status, response.read().decode()


def gallery_files(board, folder):
    """What the page names: each URL and the bytes that belong there."""
    connection = connect(board)
    connection.request("GET", "/", headers={"Accept-Encoding": "gzip"})
    page = decoded(connection.getresponse())
    connection.close()
    places = [GALLERY / "small", GALLERY / "static"] if "lm3s6965evb" in folder else [GALLERY / "static"]
    assert page in [(place / "index.html").read_bytes() for place in places if (place / "index.html").exists()]
    files = {}
    for url in set(re.findall(r'"(/static/[^"]+)"', page.decode())):
        name = url.removeprefix("/static/").split("?")[0]
        files[url] = next((place / name).read_bytes() for place in places if (place / name).is_file())
    assert len([url for url in files if "/images/" in url]) == 40, sorted(files)
    return files


def decoded(response):
    body = response.read()
    assert response.status == 200, response.status
    return gzip.decompress(body) if response.headers["Content-Encoding"] == "gzip" else body


def load_page(board, files, keep_alive):
    """As a browser does: six connections take the files between them. How many came wrong, or not at all."""
    urls = queue.SimpleQueue()
    for url in files:
        urls.put(url)
    wrong = []

    def take():
        connection = None
        while True:
            try:
                url = urls.get_nowait()
            except queue.Empty:
                return connection and connection.close()
            try:
                connection = connection or connect(board)
                connection.request("GET", url, headers={"Accept-Encoding": "gzip"})
                if decoded(connection.getresponse()) != files[url]:
                    wrong.append(url)
            except (OSError, http.client.HTTPException, AssertionError) as error:
                wrong.append(f"{url}: {error!r}")
                connection = None
            if not keep_alive and connection:
                connection = connection.close()

    browsers = [threading.Thread(target=take) for _ in range(6)]
    for thread in browsers:
        thread.start()
    for thread in browsers:
        thread.join()
    return wrong


class Browsers:
    """`with Browsers(board, files) as browsers:` six connections load the files again and again; who is cut off connects
    anew. `loaded` and `cut_off` count for each of them, `wrong` names files that did not come as they are.
    """

    COUNT = 6

    def __init__(self, board, files, count=COUNT):
        self.loaded = [0] * count
        self.cut_off = [0] * count
        self.wrong = []
        self._board = board
        self._files = files
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._load, args=[number]) for number in range(count)]

    def _load(self, number):
        connection = connect(self._board)
        while not self._stop.is_set():
            for url, wanted in self._files.items():
                if self._stop.is_set():
                    break
                try:
                    connection.request("GET", url, headers=BROWSER)
                    if decoded(connection.getresponse()) != wanted:
                        self.wrong.append(url)
                    self.loaded[number] += 1
                except (OSError, http.client.HTTPException):
                    self.cut_off[number] += 1
                    connection.close()
                    connection = connect(self._board)  # its address may be another one
                except AssertionError as status:
                    self.wrong.append(f"{url}: {status}")
        connection.close()

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()
