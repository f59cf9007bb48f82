#!/usr/bin/env python3
"""Opens the book in headless Chromium: at phone and desktop width, in light and in dark, with its search.

In: the directory with the book's HTML, and one for screenshots. Needs Debian's packages chromium and chromium-driver.
"""

import base64
import functools
import http.server
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

SIZES = {"phone": (390, 844), "desktop": (1280, 900)}
OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync"]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Browser:
    """A session of chromedriver (WebDriver, with Chromium's own commands for emulation)."""

    def __init__(self, port, profile):
        self.base = f"http://127.0.0.1:{port}"
        self.wait()
        options = {"args": OPTIONS + [f"--user-data-dir={profile}"]}
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}})
        self.base += "/session/" + answer["sessionId"]

    def wait(self):
        for _ in range(100):
            try:
                return self.call("GET", "/status")
            except OSError:
                time.sleep(0.1)
        raise SystemExit("chromedriver does not answer")

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]

    def chromium(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def run(self, script):
        return self.call("POST", "/execute/sync", {"script": script, "args": []})

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def until(self, what, script):
        for _ in range(100):
            found = self.run(script)
            if found:
                return found
            time.sleep(0.1)
        raise SystemExit(f"not seen: {what}")

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.call("GET", "/screenshot")))


def check(browser, url, html, pictures):
    pages = sorted(str(page.relative_to(html)) for page in html.rglob("*.html"))
    pages = [page for page in pages if page not in ("print.html", "404.html", "toc.html")]
    assert len(pages) > 50, pages
    for size, (width, height) in SIZES.items():
        browser.chromium("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                         mobile=size == "phone")
        for scheme in ("light", "dark"):
            browser.chromium("Emulation.setEmulatedMedia",
                             features=[{"name": "prefers-color-scheme", "value": scheme}])
            browser.open(url + "/introduction.html")
            browser.run("localStorage.clear()")
            browser.open(url + "/introduction.html")
            colours = browser.run("return getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g)")
            bright = sum(map(int, colours[:3])) > 384
            assert bright == (scheme == "light"), f"{size}, {scheme}: the background is {colours}"
            loaded = "return [...document.images].every(image => image.complete && image.naturalWidth > 0)"
            browser.until(f"{size}, {scheme}: the picture", loaded)
            browser.screenshot(pictures / f"introduction-{size}-{scheme}.png")
        wide = []
        for page in pages:
            browser.open(f"{url}/{page}")
            over = browser.run("const e = document.documentElement; return e.scrollWidth - e.clientWidth")
            if over > 0:
                wide.append(f"{page} by {over}")
        assert not wide, f"{size}: wider than the window: {', '.join(wide)}"
        search(browser, url, size, pictures)
    print(f"{len(pages)} pages fit at {len(SIZES)} sizes in light and dark, and the search finds forwardPorts")


def search(browser, url, size, pictures):
    browser.open(url + "/introduction.html?search=forwardPorts")
    links = "return [...document.querySelectorAll('#searchresults a')].map(link => link.getAttribute('href'))"
    found = browser.until("results of the search", links)
    option = [link for link in found if "options.html" in link and link.endswith("#forwardports")]
    assert option, f"{size}: the option is not among {found}"
    browser.screenshot(pictures / f"search-{size}.png")
    browser.run(f"document.querySelector(\"#searchresults a[href='{option[0]}']\").click()")
    browser.until("the option", "const e = document.getElementById('forwardports'); return e && "
                  "location.pathname.endsWith('/options.html') && e.getBoundingClientRect().top < innerHeight")
    browser.screenshot(pictures / f"option-{size}.png")


def main():
    html, pictures = map(pathlib.Path, sys.argv[1:])
    pictures.mkdir(parents=True, exist_ok=True)
    handler = functools.partial(Quiet, directory=html)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1] + 1
    with tempfile.TemporaryDirectory() as profile:
        driver = subprocess.Popen(["chromedriver", f"--port={port}", "--log-level=OFF"], stdout=subprocess.DEVNULL)
        try:
            browser = Browser(port, profile)
            try:
                check(browser, f"http://127.0.0.1:{server.server_address[1]}", html, pictures)
            finally:
                browser.call("DELETE", "")
        finally:
            driver.terminate()
            driver.wait()


main()
