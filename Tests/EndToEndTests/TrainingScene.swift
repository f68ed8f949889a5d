import Files
import Foundation
import Tensors
import TestSupport
import Testing

/// Drawn pictures of two classes, and runs over them.
struct TrainingScene: StepScene {
    let scratch: TemporaryFolder

    /// Twelve training and four validation pictures of each class, of many sizes.
    init() throws {
        scratch = try TemporaryFolder()
        for (part, count) in [("train", 12), ("val", 4)] {
            for index in 0..<count {
                for (name, isDown) in [("down", true), ("across", false)] {
                    try scratch.write("d/\(part)/\(name)/\(index).png", Self.stripes(isDown, index * 7 + count))
                }
            }
        }
    }

    /// A PNG with bright stripes on a dark ground that run down or across.
    static func stripes(_ isDown: Bool, _ variant: Int) -> [UInt8] {
        let (width, height) = (20 + variant % 7, 18 + variant % 5)
        return PNGFile.rgb(width, height) { x, y in
            let isBright = ((isDown ? x : y) + variant) / (2 + variant % 3) % 2 == 0
            let (dark, bright) = (UInt8(10 + variant * 5 % 60), UInt8(160 + variant * 11 % 90))
            return isBright ? (bright, UInt8(255 - variant % 100), bright) : (dark, dark, UInt8(variant % 90))
        }
    }

    /// The arguments of a short run: four epochs of three steps.
    static let short = ["--epochs", "4", "--batch-size", "8"]

    static func command(_ output: String, _ arguments: [String]) -> [String] {
        ["train", "--base", Samples.base, "-o", output]
            + (arguments.contains("--data") ? [] : ["--data", "stripes=d"]) + arguments
    }

    /// What `training.json` of a folder says.
    func record(_ name: String) throws -> JSONObject {
        try #require(try JSON(contentsOf: scratch.path("\(name)/training.json")).objectValue)
    }

    /// The part of the validation pictures that a merge of the adapter gives their class.
    func accuracy(_ name: String) throws -> Double {
        let bundle = "\(name)-bundle"
        let merge = try runMergeVit(
            "merge", "-q", "--base", Samples.base, "--adapter", "stripes=\(name)", "-o", bundle, folder: scratch.url)
        try #require(merge.exitCode == 0 && merge.errors.isEmpty, "\(merge.errors)")
        let rows = table(try label(scratch.path(bundle), ["d/val"], folder: scratch.url.path))
        let right = rows.count { row in
            row["path"]?.split(separator: "/").dropLast().last.map(String.init) == row["stripes"]
        }
        return Double(right) / Double(rows.count)
    }
}
