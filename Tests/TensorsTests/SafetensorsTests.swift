import Files
import Foundation
import Tensors
import TestSupport
import Testing

@Suite struct SafetensorsTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    func path(_ name: String) -> String { folder.path(name) }

    func file(header: String, data: Int, length: UInt64? = nil) throws -> String {
        var bytes = Data()
        withUnsafeBytes(of: (length ?? UInt64(header.utf8.count)).littleEndian) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: header.utf8)
        bytes.append(Data(count: data))
        let file = path(UUID().uuidString)
        try bytes.write(to: URL(fileURLWithPath: file))
        return file
    }

    @Test func whatIsWrittenReadsBack() throws {
        let a = Tensor(shape: [2, 3], values: [1, -2, 3.5, .pi, 0, -0.0])
        let scalar = Tensor(shape: [], values: [7])
        try writeSafetensors([("a", a), ("empty", Tensor(shape: [0, 4])), ("s", scalar)], to: path("t"))
        let read = try SafetensorsFile(path: path("t"))
        #expect(try read.tensor("a") == a)
        #expect(try read.tensor("s") == scalar)
        #expect(try read.tensor("empty").shape == [0, 4])
        #expect(read.metadata == ["format": "pt"])
        #expect(read.entries.map(\.name) == ["a", "empty", "s"])
        #expect(throws: FileError.self) { try read.tensor("b") }
    }

    @Test func halfPrecisionIsWidenedExactly() throws {
        let declarations: [SafetensorsWriter.Declaration] = [
            .init(name: "bf16", type: .bfloat16, shape: [2]), .init(name: "f16", type: .float16, shape: [3]),
            .init(name: "f64", type: .float64, shape: [1]), .init(name: "i32", type: .int32, shape: [1]),
        ]
        let writer = try SafetensorsWriter(path: path("h"), declarations: declarations)
        try [UInt16(0x3F80), 0xC049].withUnsafeBytes { try writer.append("bf16", bytes: $0) }
        try [UInt16(0x3C00), 0x0001, 0xFC00].withUnsafeBytes { try writer.append("f16", bytes: $0) }
        try [Double(0.1)].withUnsafeBytes { try writer.append("f64", bytes: $0) }
        try [Int32(1)].withUnsafeBytes { try writer.append("i32", bytes: $0) }
        try writer.finish()
        let read = try SafetensorsFile(path: path("h"))
        #expect(try read.tensor("bf16").values == [1, -3.140625])
        #expect(try read.tensor("f16").values == [1, 5.9604644775390625e-08, -.infinity])
        #expect(try read.tensor("f64").values == [0.1])
        #expect(throws: FileError.self) { try read.tensor("i32") }
    }

    @Test func writerKeepsToItsDeclarations() throws {
        let writer = try SafetensorsWriter(path: path("w"), declarations: [.init(name: "a", shape: [1])])
        #expect(throws: FileError.self) { try writer.append("b", Tensor(shape: [1])) }
        #expect(throws: FileError.self) { try writer.append("a", Tensor(shape: [2])) }
        #expect(throws: FileError.self) { try writer.finish() }
        #expect(throws: FileError.self) {
            _ = try SafetensorsWriter(path: "/nowhere/at/all", declarations: [])
        }
    }

    static let entry = #""dtype":"F32","shape":[2],"data_offsets":[0,8]"#

    @Test(arguments: [
        (#"{"a":{\#(entry)}}"#, 9, "the file at"),
        (#"{"a":{\#(entry)}}"#, 7, "outside"),
        (#"{"a":{\#(entry)},"a":{\#(entry)}}"#, 8, "duplicate key"),
        (#"{"a":{\#(entry)},"b":{\#(entry)}}"#, 8, "overlaps"),
        (#"{"a":{\#(entry)},"b":{"dtype":"U8","shape":[1],"data_offsets":[9,10]}}"#, 10, "gap"),
        (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8, "takes 12 bytes"),
        (#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#, 8, "overflows"),
        (#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, 8, "whole numbers"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8, "outside"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615]}}"#, 8, "whole numbers"),
        (#"{"a":{"dtype":"F8","shape":[2],"data_offsets":[0,8]}}"#, 8, "unknown dtype"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}"#, 8, "unknown key"),
        (#"{"a":7}"#, 8, "expected an object"),
        (#"[]"#, 0, "expected an object"),
        (#"{"a":"#, 0, "not valid JSON"),
    ])
    func hostileHeadersAreRefused(_ header: String, _ data: Int, _ reason: String) throws {
        let path = try file(header: header, data: data)
        let error = try #require(throws: FileError.self) { try SafetensorsFile(path: path) }
        #expect(error.reason.contains(reason), "\(error)")
        #expect(error.path == path)
    }

    @Test func deepHeaderIsRefused() throws {
        let path = try file(header: String(repeating: "[", count: 500_000), data: 0)
        let error = #expect(throws: FileError.self) { try SafetensorsFile(path: path) }
        #expect(error?.reason.contains("nesting") == true)
    }

    @Test(arguments: [UInt64.max, 1 << 63, 100_000_001, 3])
    func hostileHeaderLengthsAreRefused(_ length: UInt64) throws {
        let path = try file(header: "{}", data: 0, length: length)
        #expect(throws: FileError.self) { try SafetensorsFile(path: path) }
    }

    @Test func truncationAnywhereIsRefused() throws {
        try writeSafetensors([("a", Tensor(shape: [2, 3], repeating: 1))], to: path("whole"))
        let whole = try Data(contentsOf: URL(fileURLWithPath: path("whole")))
        for length in 0..<whole.count {
            try whole.prefix(length).write(to: URL(fileURLWithPath: path("cut")))
            #expect(throws: FileError.self) { try SafetensorsFile(path: path("cut")) }
        }
    }

    @Test func unreadableFilesAreNamed() {
        #expect(throws: FileError(path: "/nowhere", reason: "No such file or directory")) {
            try SafetensorsFile(path: "/nowhere")
        }
        #expect(throws: FileError.self) { try SafetensorsFile(path: "/dev/null") }
        #expect(throws: FileError.self) { try SafetensorsFile(path: "/tmp") }
        // Nobody writes to this pipe: waiting for that would never end.
        #expect(mkfifo(path("pipe"), 0o600) == 0)
        #expect(throws: FileError(path: path("pipe"), reason: "not a regular file")) {
            try SafetensorsFile(path: path("pipe"))
        }
    }

    @Test func aFIFOIsRefusedWithoutWaitingForAWriter() {
        #expect(mkfifo(path("fifo"), 0o600) == 0)
        #expect(throws: FileError(path: path("fifo"), reason: "not a regular file")) {
            try MappedFile(path: path("fifo"))
        }
    }
}
