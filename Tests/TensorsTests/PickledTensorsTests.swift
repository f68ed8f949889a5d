import Files
import Foundation
import TestSupport
import Testing

@testable import Tensors

/// Files that PyTorch 2 wrote, and files made here that lie. `Cases/*.bin` hold small whole numbers, as the tests say
/// them.
@Suite struct PickledTensorsTests {
    static func testCase(_ name: String) -> String { (Bundle.module.resourcePath ?? ".") + "/Cases/" + name }

    /// The reason for which bytes are refused as a file of the format; nil when they are read.
    private func reason(_ bytes: [UInt8], _ name: String = "x.bin") throws -> String? {
        let folder = try TemporaryFolder()
        let path = try folder.write(name, bytes)
        do { _ = try TensorFiles.open(path) } catch {
            #expect(error.path == path)
            return error.reason
        }
        return nil
    }

    @Test(arguments: ["protocol2.bin", "protocol4.bin"]) func everyViewReadsAsItsElements(_ name: String) throws {
        let file = try TensorFiles.open(Self.testCase(name))
        let expected: [(String, [Int], [Float])] = [
            ("rows", [2, 3], [1, 2, 3, 4, 5, 6]), ("transposed", [3, 2], [1, 4, 2, 5, 3, 6]),
            ("part", [2, 3], [8, 9, 10, 14, 15, 16]), ("steps", [2, 2], [0, 3, 12, 15]),
            ("whole", [4, 6], (0..<24).map(Float.init)), ("expanded", [2, 3], [7, 7, 7, 8, 8, 8]),
            ("permuted", [2, 2, 2], [0, 2, 4, 6, 1, 3, 5, 7]), ("empty", [0, 3], []), ("scalar", [], [3.5]),
            ("bf16", [2], [1, -3.140625]), ("f16", [2, 2], [1, 0.5, 2, -4]), ("f64", [1], [0.1]),
            ("parameter", [1], [9]),
        ]
        for (name, shape, values) in expected {
            #expect(try file.tensor(name) == Tensor(shape: shape, values: values), "\(name)")
        }
        #expect(Set(file.entries.map(\.name)) == Set(expected.map(\.0) + ["i64"]))
        let error = #expect(throws: FileError.self) { try file.tensor("i64") }
        #expect(error?.reason == "tensor \"i64\": expected F32, F16, BF16 or F64, found I64")
    }

    @Test func weightsAreFoundWithinWhatATrainerSaves() throws {
        let file = try TensorFiles.open(Self.testCase("nested.bin"))
        #expect(file.entries.map(\.name) == ["a"])
        #expect(try file.tensor("a").values == [1, 1])
    }

    @Test func oldFormatsAreRefusedWithAConversion() throws {
        let path = Self.testCase("legacy.bin")
        let error = #expect(throws: FileError.self) { try TensorFiles.open(path) }
        #expect(
            error?.reason.contains("PyTorch before 1.6") == true && error?.reason.contains("weights_only=True") == true)
        let tar = [UInt8](repeating: 0, count: 257) + Array("ustar".utf8) + [UInt8](repeating: 0, count: 250)
        #expect(try reason(tar)?.contains("weights_only=False") == true)
    }

    @Test func cuttingOrChangingAByteIsNoticed() throws {
        let whole = Array(try Data(contentsOf: URL(fileURLWithPath: Self.testCase("nested.bin"))))
        for length in stride(from: 0, to: whole.count, by: 7) {
            #expect(try reason(Array(whole.prefix(length))) != nil, "\(length)")
        }
        var pickle = try #require(whole.firstRange(of: Array("state_dict".utf8))?.lowerBound)
        for _ in 0..<8 {
            var changed = whole
            changed[pickle] ^= 1
            #expect(try reason(changed)?.contains("checksum of member") == true)
            pickle += 5
        }
    }

    // MARK: Pickles

    private static func text(_ text: String) -> [UInt8] {
        [UInt8(ascii: "X")] + TorchArchive.little(UInt32(text.utf8.count)) + Array(text.utf8)
    }

    private static func number(_ number: Int) -> [UInt8] { [0x8A, 8] + TorchArchive.little(Int64(number)) }

    private static func tuple(_ parts: [UInt8]...) -> [UInt8] { Array("(".utf8) + parts.joined() + Array("t".utf8) }

    /// A tensor over storage 0, which the archive has as four floats.
    private static func tensor(
        offset: Int = 0, _ shape: [Int], _ strides: [Int], elements: Int = 4, key: String = "0",
        type: String = "torch\nFloatStorage", metadata: [UInt8] = []
    ) -> [UInt8] {
        let storage = tuple(
            text("storage"), Array("c\(type)\n".utf8), text(key), text("cpu"), number(elements))
        let sizes = [shape, strides].map { Array("(".utf8) + $0.flatMap(number) + Array("t".utf8) }
        return Array("ctorch._utils\n_rebuild_tensor_v2\n(".utf8) + storage + Array("Q".utf8) + number(offset)
            + sizes[0] + sizes[1] + [0x89] + Array("ccollections\nOrderedDict\n)R".utf8) + metadata + Array("tR".utf8)
    }

    /// The file of a dictionary with these members.
    private static func file(_ members: [UInt8]...) -> [UInt8] {
        let pickle = [0x80, 2] + Array("}(".utf8) + members.joined() + Array("u.".utf8)
        return TorchArchive.file(
            pickle, [("0", [Float](repeating: 1, count: 4).flatMap { TorchArchive.little($0.bitPattern) })])
    }

    @Test(arguments: [
        ("cos\nsystem\n(X\u{4}\u{0}\u{0}\u{0}truetR", "the file wants to call os.system"),
        ("cbuiltins\neval\n)R", "wants to call builtins.eval"),
        ("X\u{2}\u{0}\u{0}\u{0}osX\u{6}\u{0}\u{0}\u{0}system\u{93}", "wants to call os.system"),
        ("ctorch\nComplexFloatStorage\n", "wants to call torch.ComplexFloatStorage"),
        ("ctorch._utils.x\n_rebuild_tensor_v2\n", "wants to call torch._utils.x._rebuild_tensor_v2"),
        ("c\u{1B}[2J\nx\n", "wants to call ?[2J.x"),
        ("ios\nsystem\n", "instruction 0x69"), ("(ccollections\nOrderedDict\no", "instruction 0x6f"),
        ("ccollections\nOrderedDict\n)\u{81}", "instruction 0x81"), ("\u{82}\u{1}", "instruction 0x82"),
        ("P0\n", "instruction 0x50"),
    ])
    func whateverIsNoTensorIsRefusedByName(_ code: String, _ reason: String) throws {
        // One byte a character: the pickle is not UTF-8.
        let bytes = code.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
        let found = try #require(try self.reason(Self.file(Self.text("a"), bytes)))
        #expect(found.contains(reason) && found.contains("nothing of it was executed"), "\(found)")
    }

    @Test func tensorsStayWithinTheirStorages() throws {
        #expect(try reason(Self.file(Self.text("a"), Self.tensor([4], [1]))) == nil)
        #expect(try reason(Self.file(Self.text("a"), Self.tensor([1 << 20], [0]))) == nil)
        let cases: [([UInt8], String)] = [
            (Self.tensor([5], [1]), "beyond its storage"), (Self.tensor(offset: 1, [4], [1]), "beyond its storage"),
            (Self.tensor([2, 2], [3, 1]), "beyond its storage"), (Self.tensor([1 << 30], [0]), "out of a file of"),
            (Self.tensor([1 << 40, 1 << 40], [0, 0]), "overflows"), (Self.tensor([2], [.max]), "beyond its storage"),
            (Self.tensor([.max], [1]), "overflows"), (Self.tensor(offset: .max, [2], [1]), "overflows"),
            (Self.tensor([-1], [1]), "not one of tensors"), (Self.tensor([4], [-1]), "not one of tensors"),
            (Self.tensor([4], [1, 1]), "not one of tensors"), (Self.tensor(offset: -1, [1], [1]), "not one of tensors"),
            (Self.tensor([1], [1], elements: 5), "5 elements in a member data/0 of 16 bytes"),
            (Self.tensor([1], [1], elements: .max), "elements in a member"),
            (Self.tensor([1], [1], type: "torch\nDoubleStorage"), "4 elements in a member data/0 of 16 bytes"),
            (Self.tensor([1], [1], key: "../x"), "no member data/../x"),
            (
                Self.tensor([1], [1], metadata: Array("}X\u{3}\u{0}\u{0}\u{0}neg".utf8) + [0x88] + Array("s".utf8)),
                "neg"
            ),
        ]
        for (tensor, reason) in cases {
            let found = try self.reason(Self.file(Self.text("a"), tensor))
            #expect(found?.contains(reason) == true, "\(found ?? "read"), expected \(reason)")
        }
    }

    @Test func memoryStaysInProportionToTheFile() throws {
        // A thousand views of a megabyte each over the same sixteen bytes.
        let many = (0..<1000).map { Self.text("\($0)") + Self.tensor([1 << 18], [0]) }
        #expect(try reason(Self.file(Array(many.joined())))?.contains("out of a file of") == true)
        let deep =
            [UInt8](repeating: UInt8(ascii: "]"), count: 200_000)
            + [UInt8](repeating: UInt8(ascii: "a"), count: 199_999)
        #expect(try reason(Self.file(Self.text("a"), deep))?.contains("no tensors by name") == true)
        #expect(
            try reason(Self.file([UInt8](repeating: UInt8(ascii: "N"), count: 1_100_000)))?.contains("too many") == true
        )
        let long = [UInt8](repeating: 0, count: PickleReader.maximumLength + 1)
        let error = #expect(throws: PickleReader.Failure.self) {
            try long.withUnsafeBytes { bytes in _ = try PickleReader.read(bytes) }
        }
        #expect(error?.reason.contains("expected at most") == true)
        // A list within itself.
        #expect(try reason(Self.file(Self.text("a"), Array("]q\0h\0a".utf8)))?.contains("no tensors by name") == true)
    }

    @Test func oneNameIsOneTensor() throws {
        let tensor = Self.tensor([4], [1])
        #expect(try reason(Self.file(Self.text("a"), tensor, Self.text("a"), tensor)) == "a second tensor named \"a\"")
        #expect(try reason(Self.file([UInt8(ascii: "K"), 1], tensor)) == "a tensor whose name is 1")
        let set = Array("}".utf8) + Self.text("w") + tensor + Array("s".utf8)
        let two = try reason(Self.file(Self.text("model"), set, Self.text("ema"), set))
        #expect(two?.contains("several sets of weights (\"model\", \"ema\")") == true)
        #expect(
            try reason(Self.file(Self.text("a"), tensor, Self.text("epoch"), [UInt8(ascii: "K"), 1]))?.contains(
                "\"epoch\" is not") == true)
    }

    // MARK: Archives

    @Test func archivesThatLieAreRefused() throws {
        let good = [TorchArchive.Member("x/data.pkl", [0x80, 2] + Array("}.".utf8)), .init("x/data/0", [1, 2, 3, 4])]
        #expect(try reason(TorchArchive.zip(good)) == nil)
        #expect(try reason(TorchArchive.zip(good, comment: Array("a comment PK".utf8))) == nil)
        func changed(_ change: (inout TorchArchive.Member) -> Void) -> [UInt8] {
            var members = good
            change(&members[1])
            return TorchArchive.zip(members)
        }
        let cases: [([UInt8], String)] = [
            (changed { $0.method = 8 }, "\"x/data/0\" is compressed"),
            (changed { $0.checksum = 7 }, "checksum of member \"x/data/0\""),
            (changed { $0.size = 5 }, "outside the archive"),
            (changed { $0.size = Int(UInt32.max) }, "outside the archive"),
            (changed { $0.place = 0 }, "another header"), (changed { $0.place = 9999 }, "has no header"),
            (changed { $0.otherName = "x/data/1" }, "another header"),
            (changed { $0.name = "x/data.pkl" }, "two members named"),
            (TorchArchive.zip([good[1]]), "0 members */data.pkl"),
            (TorchArchive.zip(good + [.init("y/data.pkl", [])]), "2 members */data.pkl"),
            (TorchArchive.zip(good + [.init("x/byteorder", Array("big".utf8))]), "not little-endian"),
            (TorchArchive.zip(good + [.init("x/constants.pkl", [])]), "TorchScript"),
            (Array(TorchArchive.zip(good).dropLast()), "no directory at its end"),
            ([], "not a zip archive"), (Array("version https://git-lfs.github.com/spec/v1\n".utf8), "git lfs pull"),
            ([0x80, 2] + Array("}.".utf8), "a pickle alone"),
        ]
        for (bytes, reason) in cases {
            let found = try self.reason(bytes)
            #expect(found?.contains(reason) == true, "\(found ?? "read"), expected \(reason)")
        }
        #expect(
            try reason(TorchArchive.zip(good), "x.safetensors")?.contains("zip archive, as torch.save writes") == true)
        // A second member whose data is that of the first.
        var members = good
        members.append(.init("x/data/0", [1, 2, 3, 4]))
        members[2].place = 9
        #expect(try reason(TorchArchive.zip(members)) != nil)
    }
}
