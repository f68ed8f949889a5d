import Foundation
import Glibc
import TestSupport
import Testing

@testable import Datasets
@testable import Files

@Suite struct ListingTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func filesOfAFolderComeInByteOrderOfTheirPaths() throws {
        let names = [
            "a", "a-b", "a.png", "a/z", "a0", "B", "a/b/c", "a/b.c", "a/b0", "ä", "z/1", "z.", "10", "9", "x y",
        ]
        for name in names where name != "a" { try folder.write(name) }
        let all = try listed(InputSource(paths: [BytePath(folder.path)]), below: folder)
        #expect(all == names.filter { $0 != "a" }.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) })
        #expect(all.count == names.count - 1)
    }

    @Test func hiddenEntriesAreLeftOutUnlessNamed() throws {
        for name in [".hidden", ".folder/a", "b"] { try folder.write(name) }
        #expect(try listed(InputSource(paths: [BytePath(folder.path)]), below: folder) == ["b"])
        let named = [folder[".hidden"], folder[".folder"]]
        #expect(try listed(InputSource(paths: named), below: folder) == [".hidden", ".folder/a"])
    }

    @Test func linksAreFollowedExceptBackToAFolderAbove() throws {
        try folder.write("a/b/file")
        try folder.write("other/file")
        try folder.link("a/b/up", to: "..")
        try folder.link("a/b/self", to: ".")
        try folder.link("a/link", to: "../other")
        try folder.link("a/file-link", to: "b/file")
        try folder.link("a/nowhere", to: "gone")
        try folder.link("a/circle", to: "circle")
        let lister = try InputLister(InputSource(paths: [folder["a"]]))
        var path: [UInt8] = []
        var all: [String] = []
        while try lister.next(into: &path, waiting: { _ in true }) != nil {
            all.append(String(decoding: path, as: UTF8.self).replacing("\(folder.path)/", with: ""))
        }
        #expect(all == ["a/b/file", "a/circle", "a/file-link", "a/link/file", "a/nowhere"])
        #expect(lister.loops == 2)
    }

    @Test func argumentsKeepTheirOrderAndComeAsOftenAsTheyAreNamed() throws {
        for name in ["b/2", "b/1", "a"] { try folder.write(name) }
        let paths = [folder["b"], folder["a"], folder["gone"], folder["b/"], folder["a"]]
        let all = try listed(InputSource(paths: paths), below: folder)
        #expect(all == ["b/1", "b/2", "a", "gone", "b/1", "b/2", "a"])
    }

    @Test func anUnreadableFolderIsOneInput() throws {
        // A link that is a folder when it is looked at stands in for a folder without permission: root may read those.
        var walk = FolderWalk(folder["gone"])
        var path: [UInt8] = []
        #expect(walk.next(into: &path) == .unreadable(reason: "cannot list the folder: No such file or directory"))
        #expect(path == folder["gone"].bytes)
        #expect(walk.next(into: &path) == nil)
    }

    @Test func listsAreReadEntryByEntry() throws {
        try folder.write("d/1")
        try folder.write("d/2")
        let names = ["\(folder.path)/d", "", "with,comma", "with\rreturn ", "\"quoted\"", "", "last"]
        let expected = ["d/1", "d/2"] + names[2...4] + ["last"]
        for end in ["", "\n"] {
            let list = BytePath(try folder.write("list", names.joined(separator: "\n") + end))
            let source = InputSource(paths: [], list: FileListSource(.file(list), separator: .newline))
            #expect(try listed(source, below: folder) == Array(expected))
        }
        let nul = BytePath(try folder.write("nul", "two\nlines\u{0}\u{0}b\u{0}\u{0}c"))
        let source = InputSource(paths: [folder["d/2"]], list: FileListSource(.file(nul), separator: .nul))
        #expect(try listed(source, below: folder) == ["d/2", "two\nlines", "b", "c"])
        let mixed = InputSource(paths: [], list: FileListSource(.file(nul), separator: .newline))
        #expect(
            try listed(mixed, below: folder) == ["two", "lines\u{0}\u{0}b\u{0}\u{0}c ! the path holds a NUL byte"])
    }

    @Test func listsLargerThanTheBufferLoseNothing() throws {
        let names = (0..<20_000).map { "image-\($0)-\(String(repeating: "x", count: $0 % 40)).png" }
        let list = BytePath(try folder.write("list", names.joined(separator: "\n")))
        #expect(try listed(InputSource(paths: [], list: FileListSource(.file(list), separator: .newline))) == names)
    }

    @Test func whatIsNoListIsRefused() throws {
        let list = BytePath(try folder.write("list", String(repeating: "x", count: 3 << 20)))
        let error = #expect(throws: FileError.self) {
            try listed(InputSource(paths: [], list: FileListSource(.file(list), separator: .newline)))
        }
        #expect(error?.description.contains("longer than a path can be") == true)
        #expect(throws: FileError(path: "the list of files \(folder["gone"])", reason: "No such file or directory")) {
            try listed(InputSource(paths: [], list: FileListSource(.file(folder["gone"]), separator: .newline)))
        }
        #expect(throws: FileError(path: "the list of files \(folder.path)", reason: "Is a directory")) {
            try listed(InputSource(paths: [], list: FileListSource(.file(BytePath(folder.path)), separator: .newline)))
        }
    }

    @Test func aSilentListCanBeGivenUp() throws {
        try folder.fifo("pipe")
        // Open for reading and writing, so that neither side waits for the other.
        let keep = folder["pipe"].withCString { open($0, O_RDWR | O_CLOEXEC) }
        defer { close(keep) }
        let lister = try InputLister(
            InputSource(paths: [], list: FileListSource(.file(folder["pipe"]), separator: .newline)))
        var path: [UInt8] = []
        _ = write(keep, "one\n", 4)
        #expect(try lister.next(into: &path, waiting: { _ in true }) == .file)
        #expect(path == Array("one".utf8))
        var told: [Bool] = []
        let end = try lister.next(into: &path) { isWaiting in
            told.append(isWaiting)
            return false
        }
        #expect(end == nil)
        #expect(told == [true, false])
    }
}
