import Foundation

/// The sample models, adapters and pictures of the repository.
package enum Samples {
    /// The repository's folder.
    package static let package = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
    package static let folder = package + "/samples"
    package static let base = folder + "/base"
    package static let tasks = ["traffic", "trash", "corn", "flowers", "clothing", "aerial"]
    /// How many classes each task has.
    package static let classes = ["traffic": 43, "trash": 6, "corn": 4, "flowers": 5, "clothing": 10, "aerial": 7]
    /// How many pictures `samples/images` has.
    package static let imageCount = 34

    package static func adapter(_ task: String) -> String { "\(folder)/adapters/\(task)" }
    package static func head(_ task: String) -> String { "\(folder)/heads/\(task).safetensors" }
    /// The names of the pictures in `samples/images`, in order.
    package static func imageNames() throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: "\(folder)/images")
            .filter { $0.hasSuffix(".jpg") || $0.hasSuffix(".png") }.sorted()
    }

    package static func image(_ name: String) -> String { "\(folder)/images/\(name)" }
}
