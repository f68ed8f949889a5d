import Adapters
import Files
import Foundation
import Tensors
import TestSupport
import Testing
import VisionTransformers

/// Bundles of several merged backbones, as they are written.
@Suite struct BundleGroupTests {
    let root: String
    let base: Checkpoint

    init() throws {
        root = try SharedFolder.subfolder()
        try FileManager.default.copyItem(atPath: casePath("base"), toPath: root + "/base")
        try #"{"size": {"height": 32, "width": 32}, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}"#
            .write(toFile: root + "/base/preprocessor_config.json", atomically: true, encoding: .utf8)
        base = try Checkpoint(folder: root + "/base")
    }

    func merged(_ names: [String], scale: Double = 1, weight: Double = 1) throws -> MergedBackbone {
        try MergedBackbone(
            base: base,
            adapters: names.map { .init(try Adapter(task: $0, path: casePath($0), base: base), weight: weight) },
            merge: try .sum(scale))
    }

    func groups(_ names: [[String]]) throws -> [BundleGroup] {
        try names.map { $0.isEmpty ? .init(try merged([]), heads: []) : try .init(merged($0)) }
    }

    func manifest(_ name: String) throws -> JSONObject {
        try #require(try JSON(contentsOf: "\(root)/\(name)/bundle.json").objectValue)
    }

    func entries(_ name: String = ".") throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: "\(root)/\(name)").sorted()
    }

    func content(_ name: String) -> Data? { FileManager.default.contents(atPath: "\(root)/\(name)") }

    static let files = [
        "bundle.json", "config.json", "heads.safetensors", "model.safetensors", "preprocessor_config.json",
    ]
    static let group2 = ["group2", "group2/config.json", "group2/model.safetensors"]

    @Test func eachGroupIsTheBackboneOfItsOwnMerge() throws {
        let heads = try BundleWriter.write(
            groups: groups([["c", "a"], ["b"]]), order: ["a", "b", "c"], to: root + "/all", replaces: false)
        #expect(heads.map(\.task) == ["a", "b", "c"])
        try BundleWriter.write(merged(["c", "a"]), to: root + "/one", replaces: false)
        try BundleWriter.write(merged(["b"]), to: root + "/two", replaces: false)
        #expect(try entries("all") == (Self.files + Self.group2).sorted())
        for name in ["config.json", "model.safetensors"] {
            #expect(content("all/\(name)") == content("one/\(name)"))
            #expect(content("all/group2/\(name)") == content("two/\(name)"))
        }
        let manifest = try manifest("all")
        #expect(manifest["format_version"] == .int(2))
        #expect(manifest["groups"] == .array([.array(["c", "a"]), .array(["b"])]))
        let recipe = try #require(manifest["recipe"]?.objectValue)
        #expect(
            recipe["adapters"]?.arrayValue?.map { $0.objectValue?["name"]?.stringValue } == ["a", "b", "c"])
        #expect(recipe["groups"] == nil)
        let bundle = try ModelBundle(folder: root + "/all")
        #expect(bundle.groups.map(\.tasks) == [[2, 0], [1]] && bundle.heads == heads)
    }

    @Test func oneGroupIsABundleOfOldInEveryByte() throws {
        try BundleWriter.write(merged(["a", "b"]), to: root + "/plain", replaces: false)
        try BundleWriter.write(
            groups: groups([["a", "b"]]), order: ["a", "b"], to: root + "/group", replaces: false)
        #expect(try entries("plain") == Self.files && entries("group") == Self.files)
        for name in Self.files { #expect(content("plain/\(name)") == content("group/\(name)")) }
        #expect(try manifest("group")["format_version"] == .int(1) && manifest("group")["groups"] == nil)
    }

    @Test func headsAreThoseThatAreGiven() throws {
        let first = try merged(["a"], scale: 0.5)
        var second = try BundleGroup(merged(["b"])).heads[0]
        second.weight.values[0] = 17
        let heads = [try BundleGroup(first).heads[0], second]
        try BundleWriter.write(
            groups: [.init(first, heads: [heads[0]]), .init(merged(["b"]), heads: [second])], to: root + "/bundle",
            replaces: false)
        #expect(try ModelBundle(folder: root + "/bundle").heads == heads)
        // Groups that were merged in different ways say so.
        let rules = try manifest("bundle")["recipe"]?.objectValue?["groups"]?.arrayValue
        #expect(
            rules?.map { $0.objectValue?["parameters"]?.objectValue?["scale"]?.doubleValue } == [0.5, 1])
    }

    @Test func groupsThatDoNotFitAreRefusedAndNothingIsWritten() throws {
        let before = try entries()
        for (groups, order, reason) in [
            ([["a"], []], nil, "a group without tasks"), ([["a"], ["a"]], nil, "\"a\" appears twice"),
            ([["a"], ["b"]], ["a"], "there is no task \"b\""), ([["a"]], ["a", "c"], "the task \"c\" is in none"),
            ([["a"]], ["a", "a"], "holds a name twice"), ([], nil, "a bundle needs a backbone"),
        ] as [([[String]], [String]?, String)] {
            let error = #expect(throws: ModelError.self) {
                try BundleWriter.write(groups: self.groups(groups), order: order, to: root + "/out", replaces: false)
            }
            #expect(error?.reason.contains(reason) == true, "\(reason)")
        }
        let elsewhere = try MergedBackbone(
            base: Checkpoint(folder: casePath("base")), adapters: [], merge: .sum(1))
        let error = #expect(throws: ModelError.self) {
            try BundleWriter.write(
                groups: [BundleGroup(merged(["a"])), .init(elsewhere, heads: try BundleGroup(merged(["b"])).heads)],
                to: root + "/out", replaces: false)
        }
        #expect(error?.reason.contains("another base") == true)
        #expect(try entries() == before)
    }

    @Test func aBundleOfGroupsIsReplacedWholeAndForeignFoldersStay() throws {
        let before = try entries()
        try BundleWriter.write(groups: groups([["a"], ["b"], ["c"]]), to: root + "/out", replaces: false)
        #expect(try entries("out").contains("group3/model.safetensors"))
        try BundleWriter.write(groups: groups([["a"], ["b", "c"]]), to: root + "/out", replaces: true)
        #expect(try entries("out") == (Self.files + Self.group2).sorted())
        for mine in ["group2/mine.txt", "group02/x", "group2/config.json/x"] {
            try? FileManager.default.removeItem(atPath: "\(root)/out/group2/config.json")
            let path = "\(root)/out/\(mine)"
            let parent = URL(fileURLWithPath: path).deletingLastPathComponent().path
            try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
            try "mine".write(toFile: path, atomically: true, encoding: .utf8)
            let error = #expect(throws: FileError.self) {
                try BundleWriter.write(merged(["a"]), to: root + "/out", replaces: true)
            }
            #expect(error?.reason.hasSuffix("which is no part of a bundle; it is not replaced") == true)
            #expect(content("out/\(mine)") == Data("mine".utf8))
            try FileManager.default.removeItem(atPath: mine.hasPrefix("group2/") ? path : parent)
        }
        try FileManager.default.removeItem(atPath: "\(root)/out/group2/config.json")
        try BundleWriter.write(merged(["a"]), to: root + "/out", replaces: true)
        #expect(try entries("out") == Self.files)
        try FileManager.default.removeItem(atPath: root + "/out")
        #expect(try entries() == before)
    }

    @Test func aFailureInALaterGroupLeavesNothing() throws {
        let before = try entries()
        let infinite = try merged(["b"], weight: 1e40)
        #expect(throws: ModelError.self) {
            try BundleWriter.write(
                groups: [BundleGroup(merged(["a"])), BundleGroup(infinite)], to: root + "/out", replaces: false)
        }
        #expect(try entries() == before)
    }

    /// A signal takes the folder away while it is written; once it has its name, it stays.
    @Test func aDiscardedBundleLeavesNothingAndAWholeOneStays() throws {
        let before = try entries()
        var discard: (@Sendable () -> Bool)?
        let groups = try groups([["a"], ["b"]])
        #expect(throws: (any Error).self) {
            try BundleWriter.write(groups: groups, to: root + "/out", replaces: false) { _ = $0() }
        }
        #expect(try entries() == before)
        try BundleWriter.write(groups: groups, to: root + "/out", replaces: false) { discard = $0 }
        #expect(discard?() == false)
        #expect(try entries("out").contains("bundle.json"))
        try FileManager.default.removeItem(atPath: root + "/out")
        #expect(try entries() == before)
    }
}
