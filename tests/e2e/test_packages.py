#!/usr/bin/python3
"""What the packages hold: by Debian's and Fedora's own tools, nothing installed.

$LEASEDNS_DIST is the directory that contrib/package.sh filled.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = pathlib.Path(os.environ["LEASEDNS_DIST"])
MODULES = ("leasedns", "libvirt", "libvirt_guest")
SUMMARIES = ["names for virtual machines on the host that runs them",
             "NSS modules for the names of virtual machines"]
#: What both kinds have; directories of libraries and documentation differ.
UNITS = ["usr/lib/systemd/system/leasedns.service",
         "usr/lib/systemd/system/leasedns-resolved.service",
         "usr/lib/systemd/system/leasedns.socket",
         "usr/lib/systemd/system-preset/50-leasedns.preset", "usr/lib/sysusers.d/leasedns.conf"]


def run(*command, **options):
    """Standard output; a command that fails fails the test with what it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False,
                          **options)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def only(pattern):
    found = list(PACKAGES.glob(pattern))
    if len(found) != 1:
        raise AssertionError(f"{PACKAGES}/{pattern}: {found}")
    return str(found[0])


class Case(unittest.TestCase):
    def scratch(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        return pathlib.Path(directory.name)

    def check_modules(self, directory):
        for module in MODULES:
            said = run("readelf", "--dynamic", f"{directory}/libnss_{module}.so.2")
            self.assertIn(f"soname: [libnss_{module}.so.2]", said)
            self.assertLessEqual(set(re.findall(r"NEEDED.*\[(.*)\]", said)),
                                 {"libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"})

    def check_program(self, root):
        self.assertIn("0.1.0", run(root / "usr/sbin/leasedns", "--version"))
        text = (root / "etc/leasedns.conf").read_text(encoding="utf-8")
        self.assertEqual([line for line in text.splitlines() if line and line[0] not in "#["], [])
        service = (root / UNITS[0]).read_text(encoding="utf-8")
        self.assertIn("\nExecStart=/usr/sbin/leasedns serve\n", service)
        self.assertNotIn("@", service.replace("@system-service", "").replace(
            "@privileged", "").replace("@resources", ""))


class Debian(Case):
    PROGRAM, LIBRARY = "leasedns_*.deb", "libnss-leasedns_*.deb"
    #: Of the library.
    CONFFILES = ("etc/apt/apt.conf.d/90libnss-leasedns",
                 "etc/apparmor.d/abstractions/nameservice.d/leasedns")

    def fields(self, package):
        return dict(re.findall(r"(?m)^([\w-]+): (.*)$", run("dpkg-deb", "--field", only(package))))

    def files(self, package):
        """Path: mode and owner, without directories."""
        listed = run("dpkg-deb", "--contents", only(package)).splitlines()
        parts = [line.split(None, 5) for line in listed]
        return {part[5].removeprefix("./"): f"{part[0]} {part[1]}" for part in parts
                if not part[5].endswith("/")}

    def test_lintian_finds_no_error(self):
        said = run("lintian", "--fail-on", "error", "--show-overrides", only(self.PROGRAM),
                   only(self.LIBRARY))
        print(said, file=sys.stderr)

    def test_program_has_what_it_needs_and_no_more(self):
        files = self.files(self.PROGRAM)
        mine = {path for path in files if not path.startswith("usr/share/")}
        self.assertEqual(mine, {"etc/leasedns.conf", "usr/sbin/leasedns", *UNITS})
        for name in ("doc/leasedns/copyright", "doc/leasedns/changelog.Debian.gz",
                     "doc/leasedns/changelog.gz", "doc/leasedns/service.md",
                     "doc/leasedns/examples/zone-only.conf", "man/man8/leasedns.8.gz",
                     "man/man5/leasedns.conf.5.gz", "bash-completion/completions/leasedns",
                     "zsh/vendor-completions/_leasedns", "fish/vendor_completions.d/leasedns.fish",
                     "doc/leasedns/examples/resolvers/unbound.conf"):
            self.assertIn(f"usr/share/{name}", files)
        self.assertEqual(files.pop("usr/sbin/leasedns"), "-rwxr-xr-x root/root")
        self.assertEqual(set(files.values()), {"-rw-r--r-- root/root"})

    def test_library_has_three_modules(self):
        files = self.files(self.LIBRARY)
        triplet = run("dpkg-architecture", "-q", "DEB_HOST_MULTIARCH").strip()
        mine = {path for path in files if not path.startswith("usr/share/")}
        self.assertEqual(mine, set(self.CONFFILES) | {
            f"usr/lib/{triplet}/libnss_{module}.so.2" for module in MODULES})
        self.assertIn("usr/share/man/man8/nss-leasedns.8.gz", files)
        self.assertEqual(set(files.values()), {"-rw-r--r-- root/root"})

    def test_relations(self):
        fields = self.fields(self.PROGRAM)
        for library in ("libc6", "libuv1", "libldns3", "libjson-c5", "libcdb1", "libinih1", "ares2"):
            self.assertIn(library, fields["Depends"])
        fields = self.fields(self.LIBRARY)
        for field in ("Provides", "Conflicts", "Replaces"):
            self.assertEqual(fields[field], "libnss-libvirt")
        self.assertRegex(fields["Depends"], r"^libc6 \([^)]*\)$")

    def test_each_says_what_it_is(self):
        self.assertEqual([self.fields(package)["Description"] for package in (
            self.PROGRAM, self.LIBRARY)], SUMMARIES)

    def test_control_files(self):
        for package, conffiles, scripts in (
                (self.PROGRAM, ["/etc/leasedns.conf"], {"postinst", "postrm", "prerm"}),
                (self.LIBRARY, [f"/{path}" for path in self.CONFFILES],
                 {"preinst", "postinst", "postrm"})):
            root = self.scratch()
            run("dpkg-deb", "-R", only(package), root)
            control = root / "DEBIAN"
            self.assertEqual(control.joinpath("conffiles").read_text().split(), conffiles)
            self.assertEqual({path.name for path in control.iterdir()
                              if path.stat().st_mode & 0o111}, scripts)
            for script in scripts:
                run("sh", "-n", control / script)
            run("md5sum", "--check", "--quiet", "DEBIAN/md5sums", cwd=root)

    def test_programs_run(self):
        root = self.scratch()
        run("dpkg-deb", "-x", only(self.PROGRAM), root)
        run("dpkg-deb", "-x", only(self.LIBRARY), root)
        self.check_program(root)
        self.check_modules(next(root.glob("usr/lib/*/libnss_leasedns.so.2")).parent)

    #: Lines for hosts before and after the installation, and after the removal if not as before.
    NSSWITCH = (
        ("hosts:          files dns", "hosts:          files leasedns dns"),
        ("hosts: files mdns4_minimal [NOTFOUND=return] dns # dns",
         "hosts: files leasedns mdns4_minimal [NOTFOUND=return] dns # dns"),
        ("hosts:\tfiles myhostname resolve [!UNAVAIL=return] dns",
         "hosts:\tfiles myhostname leasedns resolve [!UNAVAIL=return] dns"),
        ("hosts:dns", "hosts:leasedns dns"),
        ("hosts: files dns#x", "hosts: files leasedns dns#x"),
        ("hosts: files libvirt libvirt_guest dns", "hosts: files libvirt libvirt_guest leasedns dns"),
        ("hosts: files resolve_x dnsx dns", "hosts: files resolve_x dnsx leasedns dns"),
        ("hosts: files", "hosts: files"),
        ("hosts: files # dns", "hosts: files # dns"),
        ("hosts: files leasedns", "hosts: files leasedns", "hosts: files"),
        ("hosts: leasedns [NOTFOUND=return] dns # leasedns",
         "hosts: leasedns [NOTFOUND=return] dns # leasedns", "hosts: dns # leasedns"),
        ("hosts: files leasedns [!UNAVAIL=return] # x",
         "hosts: files leasedns [!UNAVAIL=return] # x", "hosts: files # x"),
        ("passwd: files dns\nnetworks: dns", "passwd: files dns\nnetworks: dns"),
    )

    def test_nsswitch_gets_the_module_and_loses_it(self):
        root = self.scratch()
        control = root / "DEBIAN"
        run("dpkg-deb", "-e", only(self.LIBRARY), control)
        conf = root / "etc/nsswitch.conf"
        conf.parent.mkdir()
        (root / "var/lib/dpkg").mkdir(parents=True)
        environment = {**os.environ, "DPKG_ROOT": str(root), "DPKG_MAINTSCRIPT_PACKAGE_INSTCOUNT": "0"}
        for before, installed, *removed in self.NSSWITCH:
            with self.subTest(before):
                conf.write_text(f"# {before}\n{before}\n", encoding="utf-8")
                run(control / "preinst", "install", env=environment)
                for _ in range(2):
                    run(control / "postinst", "configure", env=environment)
                    self.assertEqual(conf.read_text(encoding="utf-8"), f"# {before}\n{installed}\n")
                run(control / "postrm", "remove", env=environment)
                self.assertEqual(conf.read_text(encoding="utf-8"),
                                 f"# {before}\n{(removed or [before])[0]}\n")
                self.assertEqual(os.listdir(conf.parent), ["nsswitch.conf"])


class Fedora(Case):
    PROGRAM, LIBRARY = "leasedns-[0-9]*.rpm", "leasedns-nss-*.rpm"

    def query(self, package, *options):
        # A database of its own, empty: none is made on this host.
        return run("rpm", "--dbpath", str(self.scratch()), "-qp", *options, only(package))

    def files(self, package):
        listed = self.query(package, "--qf", "[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME}"
                            "/%{FILEGROUPNAME} %{FILEFLAGS:fflags}\n]").splitlines()
        parts = [line.split(" ", 1) for line in listed]
        return {path.lstrip("/"): rest.strip() for path, rest in parts if rest[0] != "d"}

    def test_program(self):
        files = self.files(self.PROGRAM)
        mine = {path for path in files if not path.startswith("usr/share/")}
        self.assertEqual(mine, {"etc/leasedns.conf", "usr/sbin/leasedns", *UNITS})
        for name in ("licenses/leasedns/LICENSE", "man/man8/leasedns.8.gz",
                     "zsh/site-functions/_leasedns"):
            self.assertIn(f"usr/share/{name}", files)
        self.assertIn("usr/share/doc/leasedns/examples/zone-only.conf", files)
        self.assertEqual(files.pop("usr/sbin/leasedns"), "-rwxr-xr-x root/root")
        # %config(noreplace)
        self.assertEqual(files.pop("etc/leasedns.conf"), "-rw-r--r-- root/root cn")
        self.assertLessEqual(set(files.values()),  # documentation is marked as such
                             {"-rw-r--r-- root/root", "-rw-r--r-- root/root d"})

    def test_library(self):
        files = self.files(self.LIBRARY)
        self.assertEqual({path for path in files if not path.startswith("usr/share/")},
                         {f"usr/lib64/libnss_{module}.so.2" for module in MODULES})
        self.assertEqual(self.query(self.LIBRARY, "--conflicts").split(), ["libvirt-nss"])

    def test_directories_of_the_system_are_left_to_it(self):
        for package in (self.PROGRAM, self.LIBRARY):
            listed = self.query(package, "--qf", "[%{FILENAMES} %{FILEMODES:perms}\n]").splitlines()
            self.assertEqual([line for line in listed if " d" in line and not re.match(
                r"/usr/share/(doc|licenses)/leasedns", line)], [])

    def test_each_says_what_it_is(self):
        self.assertEqual([self.query(package, "--qf", "%{SUMMARY}") for package in (
            self.PROGRAM, self.LIBRARY)], SUMMARIES)

    def test_scriptlets_are_those_of_systemd(self):
        said = self.query(self.PROGRAM, "--scripts")
        for verb in ("install-system-units", "remove-system-units", "mark-restart-system-units"):
            self.assertIn(f"systemd-update-helper {verb} ", said)
        for script in re.split(r"(?m)^\w+ scriptlet .*:$", said)[1:]:
            run("sh", "-n", input=script)

    def test_programs_run(self):
        root = self.scratch()
        for package in (self.PROGRAM, self.LIBRARY):
            run("sh", "-c", 'rpm2cpio "$1" | cpio --quiet -id', "sh", only(package), cwd=root)
        self.check_program(root)
        self.check_modules(root / "usr/lib64")


class Script(Case):
    def test_one_kind_alone(self):
        """As asked for, and no failure for the other."""
        tree = self.scratch() / "tree"
        shutil.copytree(ROOT / "contrib", tree / "contrib")
        stand_ins = tree / "bin"
        stand_ins.mkdir()
        for name, text in (("cmake", "exit 0"), ("dpkg-parsechangelog", "echo 1"),
                           ("cpack", 'mkdir -p "$4" && touch "$4/x.deb" "$4/x.rpm"')):
            (stand_ins / name).write_text(f"#!/bin/sh\n{text}\n", encoding="ascii")
            (stand_ins / name).chmod(0o755)
        for kind in ("deb", "rpm"):
            said = run(tree / "contrib/package.sh", kind, env={
                **os.environ, "PATH": f"{stand_ins}:{os.environ['PATH']}"})
            self.assertEqual(said, f"{tree}/build/package/x.{kind}\n")


class Reproducible(Case):
    def test_another_place_and_time_give_the_same_bytes(self):
        place = self.scratch()
        tree, build = place / "another name for it", place / "b"
        shutil.copytree(ROOT, tree, copy_function=shutil.copy,  # with today's time
                        ignore=shutil.ignore_patterns("build", ".git", "__pycache__"))
        previous = os.umask(0o077)
        try:
            run(tree / "contrib/package.sh", env={
                **os.environ, "BUILD": str(build), "TZ": "Asia/Kathmandu", "LC_ALL": "C"})
        finally:
            os.umask(previous)
        names = {path.name for path in PACKAGES.iterdir() if path.suffix in (".deb", ".rpm")}
        self.assertEqual(len(names), 4)
        for name in names:
            self.assertEqual((build / name).read_bytes(), (PACKAGES / name).read_bytes(), name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
