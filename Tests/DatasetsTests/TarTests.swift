import Foundation
import Glibc
import TestSupport
import Testing

@testable import Datasets
@testable import Files

/// Tar archives as inputs: what GNU tar writes in each of its formats, and what is damaged.
@Suite struct TarTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Runs the system's tar in the folder.
    func tar(_ arguments: String...) throws {
        try #require(try runProgram("/bin/tar", ["-C", folder.path] + arguments).exitCode == 0)
    }

    /// Every input of an archive with its content, or the reason why there is none.
    func contents(_ name: String, _ reading: InputReading = InputReading()) throws -> [String] {
        let lister = try InputLister(InputSource(paths: [folder[name]], reading: reading))
        var reader = FileReader(limit: 1 << 20)
        var (path, all): ([UInt8], [String]) = ([], [])
        while let input = try lister.next(into: &path, waiting: { _ in true }) {
            var text = String(decoding: path, as: UTF8.self)
            text.replace("\(folder.path)/", with: "")
            do {
                try reader.read(input, at: BytePath(path)) { text += " = \(String(decoding: $0, as: UTF8.self))" }
            } catch {
                text += " ! \(error)"
            }
            all.append(text)
        }
        return all
    }

    func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder[name].description)))
    }

    @Test(arguments: ["v7", "ustar", "oldgnu", "gnu", "pax"])
    func membersAreReadInTheirOrder(_ format: String) throws {
        let names = ["z", "a/b", "a/ä", "a/x y"]
        for name in names { try folder.write("d/\(name)", "content of \(name)") }
        try tar("-cf", folder["t.tar"].description, "--format=\(format)", "d/z", "d/a")
        let all = try contents("t.tar")
        #expect(all.first == "t.tar/d/z = content of z")
        #expect(Set(all.dropFirst()) == Set(names.dropFirst().map { "t.tar/d/\($0) = content of \($0)" }))
        #expect(all.count == 4)
    }

    /// ustar divides long names, GNU and pax write them into members of their own.
    @Test(arguments: [("ustar", 40), ("gnu", 40), ("gnu", 90), ("pax", 90)])
    func longNamesAreWhole(_ format: String, _ length: Int) throws {
        let name = (0..<3).map { String(repeating: "\($0)", count: length) }.joined(separator: "/")
        try folder.write(name, "far below")
        try folder.write("next", "not far")
        try tar("-cf", folder["t.tar"].description, "--format=\(format)", name, "next")
        #expect(try contents("t.tar") == ["t.tar/\(name) = far below", "t.tar/next = not far"])
    }

    @Test func whatIsNoFileHasItsReason() throws {
        try folder.write("d/a", "1")
        try folder.link("d/link", to: "a")
        try folder.fifo("d/pipe")
        try folder.write("d/empty", "")
        try tar("-cf", folder["t.tar"].description, "--sort=name", "d")
        #expect(
            try contents("t.tar") == [
                "t.tar/d/a = 1", "t.tar/d/empty ! the file is empty",
                "t.tar/d/link ! a link inside an archive, which is not followed", "t.tar/d/pipe ! not a regular file",
            ])
    }

    @Test(arguments: [("ustar", 8), ("gnu", 8), ("pax", 8), ("gnu", 120), ("pax", 120)])
    func hardLinksAreTheEarlierMember(_ format: String, _ length: Int) throws {
        let name = "a" + String(repeating: "b", count: length)
        try folder.write("\(name)/a", "content")
        func link(_ new: String) throws {
            try #require(
                folder["\(name)/a"].withCString { old in folder["\(name)/\(new)"].withCString { Glibc.link(old, $0) } }
                    == 0)
        }
        try link("b")
        try link(".c")
        try link("d")
        try tar("-cf", folder["t.tar"].description, "--format=\(format)", "--sort=name", "./\(name)")
        let found = try contents("t.tar").sorted()
        #expect(found == ["a", "b", "d"].map { "t.tar/./\(name)/\($0) = content" })
        // Without the member that has the bytes the others say what they lack.
        try tar("--delete", "-f", folder["t.tar"].description, "./\(name)/.c", "./\(name)/a")
        for line in try contents("t.tar") where !line.contains(" = ") {
            #expect(
                line.contains("! a hard link to ./\(name)/")
                    && line.contains("is not an earlier member of the archive"), "\(line)")
        }
    }

    @Test func membersThatAFolderWouldLeaveOutAreLeftOut() throws {
        for name in [
            "d/._a", "d/.DS_Store", "d/.git/x", "d/a", "d/b.jpg", "d/Thumbs.db", "__MACOSX/d/._a", "d/@eaDir/b.jpg",
            "d/..c", "d/e.",
        ] { try folder.write(name, "1") }
        try folder.link("d/l.txt", to: "a")
        try tar("-cf", folder["t.tar"].description, "--sort=name", "./d", "./__MACOSX")
        #expect(
            try contents("t.tar") == [
                "t.tar/./d/a = 1", "t.tar/./d/b.jpg = 1", "t.tar/./d/e. = 1",
                "t.tar/./d/l.txt ! a link inside an archive, which is not followed",
            ])
        #expect(try contents("t.tar", InputReading(endings: ["jpg"])) == ["t.tar/./d/b.jpg = 1"])
        #expect(try contents("d") == ["d/a = 1", "d/b.jpg = 1", "d/e. = 1", "d/l.txt = 1"])
    }

    @Test func whichFilesAreArchivesCanBeChosen() throws {
        try folder.write("a.jpg", "1")
        try folder.write("a.txt", "2")
        try tar("-cf", folder["d"].description + ".TAR", "a.jpg", "a.txt")
        #expect(try contents("d.TAR") == ["d.TAR/a.jpg = 1", "d.TAR/a.txt = 2"])
        #expect(try contents("d.TAR", InputReading(endings: ["jpg"])) == ["d.TAR/a.jpg = 1"])
        #expect(try contents("d.TAR", InputReading(archives: .none)).count == 1)
        try FileManager.default.moveItem(atPath: "\(folder["d.TAR"])", toPath: "\(folder["other"])")
        #expect(try contents("other").count == 1)
        #expect(try contents("other", InputReading(archives: .all)).count == 2)
        // Files that are come upon in a folder are never opened as archives.
        try folder.write("f/x.tar", "no archive")
        #expect(try contents("f") == ["f/x.tar = no archive"])
        #expect(try contents("gone.tar") == ["gone.tar ! No such file or directory"])
    }

    /// Cut anywhere, an archive gives the members before the cut, and says that it is not whole.
    @Test func anArchiveThatIsCutShortSaysSo() throws {
        for name in ["a", "b", "c"] { try folder.write(name, String(repeating: name, count: 700)) }
        try tar("-cf", folder["t.tar"].description, "a", "b", "c")
        let whole = try bytes("t.tar")
        let members = try contents("t.tar")
        #expect(members.count == 3)
        // Three members of a header and two blocks, then the end mark.
        for length in stride(from: 0, to: 9 * 512, by: 173) {
            try folder.write(Array("t.tar".utf8), Array(whole[..<length]))
            let found = try contents("t.tar")
            let complete = (0..<3).filter { length >= $0 * 1536 + 512 + 700 }.count
            #expect(Array(found.prefix(complete)) == Array(members.prefix(complete)))
            #expect(
                found.count == complete + 1 && found.last?.contains(" ! ") == true, "\(length): \(found.last ?? "")")
        }
    }

    /// No byte of a header can be changed without a word: a name may read differently, but nothing is lost in silence.
    @Test func damagedHeadersAreFoundByTheirChecksum() throws {
        for name in ["a", "b"] { try folder.write(name, "content") }
        try tar("-cf", folder["t.tar"].description, "a", "b")
        let whole = try bytes("t.tar")
        for position in [0, 124, 130, 148, 156, 257, 1024, 1024 + 130] {
            var changed = whole
            changed[position] ^= 0x15
            try folder.write(Array("t.tar".utf8), changed)
            let found = try contents("t.tar")
            #expect(
                found.last?.contains("no header at byte \(position / 1024 * 1024), or its checksum is wrong") == true)
            #expect(found.count == position / 1024 + 1)
        }
    }

    @Test func hostileNumbersAndRecordsAreRefused() throws {
        func number(_ text: [UInt8]) -> Int? { text.withUnsafeBytes { TarHeader.number($0[...]) } }
        #expect(number(Array("00000000017 ".utf8)) == 15)
        #expect(number(Array("   17\0".utf8)) == 15)
        #expect(number([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2]) == 65538)
        #expect(number([0x80] + [UInt8](repeating: 0xFF, count: 11)) == nil)
        #expect(number([0xFF] + [UInt8](repeating: 0xFF, count: 11)) == nil)
        #expect(number(Array("89".utf8)) == nil)
        #expect(number([]) == nil)
        #expect(PaxRecords(Array("11 path=abc\n".utf8)) == nil)
        #expect(PaxRecords(Array("12 path=abc\n".utf8))?.path == Array("abc".utf8))
        for text in [
            "99999999999999999999 path=a\n", "3 =", "0 a=b\n", "-5 a=b\n", "12 pathXabc\n", "11 size=-1\n", "x",
        ] {
            #expect(PaxRecords(Array(text.utf8)) == nil, "\(text)")
        }
        #expect(PaxRecords([])?.path == nil)
    }
}
