"""What the modules show to the process that they are loaded into, and what they ask of it."""

import os
import re
import subprocess
import unittest

LIB_DIR = os.environ["NSS_LIB_DIR"]
ARCHIVES = os.environ["NSS_ARCHIVES"].split(":")
MODULES = ("libvirt", "libvirt_guest", "leasedns")
HOOKS = ("gethostbyname_r", "gethostbyname2_r", "gethostbyname3_r", "gethostbyname4_r",
         "gethostbyaddr_r", "gethostbyaddr2_r")
# Nobody whom we link may do these.
NEVER = re.compile(r"^(_*pthread_create|_*pthread_atfork|__register_atfork|signal|_*sigaction|"
                   r"getaddrinfo|gethostby.*|getnameinfo|dlopen|dlsym|setlocale|setenv|putenv|"
                   r"system|popen|fork|vfork|exec.*|mmap|mmap64|socket|connect|syslog|"
                   r"__syslog_chk|exit|_exit|atexit|on_exit|sleep|select|poll)$")
# These are in json-c and inih, in calls that we do not make; our own code has none of them.
NEVER_OURS = re.compile(r"^(abort|__assert_fail|getenv|secure_getenv|fopen|fopen64|fdopen|fclose|"
                        r"fgets|f?printf|__f?printf_chk|stderr|stdout|stdin|strerror|uselocale|"
                        r"newlocale|duplocale|strtod|tolower|toupper|strcasecmp|strncasecmp|"
                        r"__ctype_.*|localtime|gmtime|rand|random|srand)$")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def module_path(module):
    return os.path.join(LIB_DIR, f"libnss_{module}.so.2")


def undefined(path):
    names = set()
    for line in run("nm", "--undefined-only", "--no-sort", "-P", path).splitlines():
        fields = line.split()
        if len(fields) >= 2 and fields[1] in "Uvw":
            names.add(fields[0].split("@")[0])
    return names


class Linkage(unittest.TestCase):
    def test_module_shows_its_hooks_alone(self):
        for module in MODULES:
            with self.subTest(module):
                lines = run("nm", "-D", "--defined-only", "-P", module_path(module)).splitlines()
                self.assertEqual({line.split()[0].split("@")[0] for line in lines},
                                 {f"_nss_{module}_{hook}" for hook in HOOKS})
                self.assertEqual({line.split()[1] for line in lines}, {"T"})

    def test_module_needs_libc_and_its_loader_alone(self):
        for module in MODULES:
            with self.subTest(module):
                dynamic = run("readelf", "-dW", module_path(module))
                needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
                self.assertIn("libc.so.6", needed)
                for library in needed - {"libc.so.6"}:
                    self.assertRegex(library, r"^ld-linux.*\.so\.\d$|^ld64\.so\.\d$")
                self.assertNotRegex(dynamic, r"RPATH|RUNPATH")
                self.assertIn(f"[libnss_{module}.so.2]", dynamic)

    def test_module_is_bound_at_once_and_for_good(self):
        for module in MODULES:
            with self.subTest(module):
                dynamic = run("readelf", "-dW", module_path(module))
                flags = re.search(r"\(FLAGS_1\)\s+Flags: (.*)", dynamic)
                self.assertIsNotNone(flags)
                self.assertLessEqual({"NOW", "NODELETE"}, set(flags[1].split()))
                self.assertNotIn("TEXTREL", dynamic)
                segments = run("readelf", "-lW", module_path(module))
                self.assertIn("GNU_RELRO", segments)
                self.assertRegex(segments, r"GNU_STACK(\s+0x[0-9a-f]+){5}\s+RW\s")

    def test_module_calls_nothing_that_guests_must_not(self):
        for module in MODULES:
            with self.subTest(module):
                names = undefined(module_path(module))
                self.assertIn("pread", {name.removesuffix("64") for name in names})
                self.assertEqual({name for name in names if NEVER.match(name)}, set())

    def test_our_own_code_keeps_no_state(self):
        """Constants that hold addresses are in .data.rel.ro, which is not written after loading."""
        for archive in ARCHIVES:
            seen = 0
            for line in run("readelf", "-SW", archive).splitlines():
                found = re.search(r"\] (\.[td]?(?:data|bss)\S*)\s+\S+\s+\S+\s+\S+\s+([0-9a-f]+)",
                                  line)
                if not found or found[1].startswith(".data.rel.ro"):
                    continue
                seen += 1
                self.assertEqual(int(found[2], 16), 0, f"{archive}: {line}")
            self.assertGreater(seen, 0)

    def test_our_own_code_calls_nothing_of_the_kind(self):
        for archive in ARCHIVES:
            with self.subTest(os.path.basename(archive)):
                names = undefined(archive)
                self.assertGreater(len(names), 3)
                self.assertEqual({name for name in names
                                  if NEVER.match(name) or NEVER_OURS.match(name)}, set())


if __name__ == "__main__":
    unittest.main(verbosity=2)
