import Files
import Foundation
import Glibc
import TestSupport
import Testing

/// Linking, copying and moving files to places where nothing is.
@Suite struct FilePlacingTests {
    let scratch: TemporaryFolder

    init() throws {
        scratch = try TemporaryFolder()
        try scratch.write("a/1", "one")
        try scratch.write("b/2", "two")
    }

    @Test func nothingIsOverwritten() throws {
        try scratch.link("dangling", to: "nowhere")
        for place in ["b/2", "b", "dangling"] {
            #expect(FilePlacing.link(scratch["a/1"], at: scratch[place]) == EEXIST)
            #expect(FilePlacing.copy(scratch["a/1"], to: scratch[place]) == EEXIST)
            #expect(FilePlacing.move(scratch["a/1"], to: scratch[place]) == EEXIST)
        }
        #expect(scratch.content("a/1") == "one" && scratch.content("b/2") == "two")
        #expect(FilePlacing.move(scratch["a/3"], to: scratch["b/3"]) == ENOENT)
        #expect(FilePlacing.copy(scratch["a/1"], to: scratch["c/1"]) == ENOENT)
        #expect(try scratch.entries("b") == ["2"])
    }

    @Test func filesKeepTheirBytesTimesAndPermissions() throws {
        var times = [timespec(tv_sec: 1000, tv_nsec: 7), timespec(tv_sec: 2000, tv_nsec: 8)]
        #expect(chmod(scratch.path("a/1"), 0o640) == 0 && utimensat(AT_FDCWD, scratch.path("a/1"), &times, 0) == 0)
        #expect(FilePlacing.copy(scratch["a/1"], to: scratch["b/copy"]) == nil)
        let status = try #require(FileStatus(path: scratch.path("b/copy")))
        #expect(status.modified == 2_000_000_000_008 && status.mode & 0o777 == 0o640)
        #expect(FilePlacing.haveSameBytes(scratch["a/1"], scratch["b/copy"]))
        #expect(!FilePlacing.haveSameBytes(scratch["a/1"], scratch["b/2"]))
        #expect(FilePlacing.move(scratch["a/1"], to: scratch["b/moved"]) == nil)
        #expect(try scratch.entries("a").isEmpty && scratch.entries("b") == ["2", "copy", "moved"])
    }

    /// Where the machine has a file system of its own in memory.
    @Test func filesAreMovedToOtherFileSystems() throws {
        let other = "/dev/shm/mergevit-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        guard mkdir(other, 0o700) == 0 else { return }
        defer { try? FileManager.default.removeItem(atPath: other) }
        guard let one = FileStatus(path: other), let two = FileStatus(path: scratch.path), one.device != two.device
        else {
            return
        }
        let place = BytePath("\(other)/1")
        #expect(FilePlacing.move(scratch["a/1"], to: place) == nil)
        #expect(try readBytes("\(other)/1") == Array("one".utf8) && scratch.entries("a").isEmpty)
        #expect(FilePlacing.move(scratch["b/2"], to: place) == EEXIST && scratch.content("b/2") == "two")
        #expect(try FileManager.default.contentsOfDirectory(atPath: other) == ["1"])
    }
}
