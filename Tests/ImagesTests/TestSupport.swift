import Foundation
import Images

/// Files that belong to the tests, written by make_cases.py.
enum Cases {
    /// The files of a folder of Cases/ with an extension, in order.
    static func list(_ folder: String, _ type: String) -> [URL] {
        (Bundle.module.urls(forResourcesWithExtension: type, subdirectory: "Cases/\(folder)") ?? [])
            .map { $0 as URL }.sorted { $0.path < $1.path }
    }

    static func bytes(_ url: URL) throws -> [UInt8] { [UInt8](try Data(contentsOf: url)) }

    static func bytes(_ folder: String, _ name: String) throws -> [UInt8] {
        let stem = Bundle.module.bundleURL.appendingPathComponent("Cases/\(folder)")
        return try bytes(stem.appendingPathComponent(name))
    }

    /// The name and the two numbers in a file name such as `bicubic.61x20.rgb`.
    static func parts(_ url: URL) throws -> (name: String, first: Int, second: Int) {
        let fields = url.lastPathComponent.split(separator: ".")
        let numbers = fields.dropFirst().first.map { $0.split(separator: "x").compactMap { Int($0) } } ?? []
        guard let name = fields.first, numbers.count == 2 else { throw CocoaError(.fileReadInvalidFileName) }
        return (String(name), numbers[0], numbers[1])
    }

    /// A picture stored as raw rows under its name and size.
    static func picture(_ url: URL) throws -> RGBImage {
        let (_, width, height) = try parts(url)
        return RGBImage(width: width, height: height, pixels: try bytes(url))
    }

    static func photo() throws -> RGBImage {
        RGBImage(width: 61, height: 47, pixels: try bytes("resize", "photo.61x47.rgb"))
    }
}

/// The larger reference cases that may lie beside the package; tests that use them are off without.
enum Reference {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../../shared/reference/cases").standardizedFileURL

    static let isPresent = FileManager.default.fileExists(atPath: folder.appendingPathComponent("images").path)

    static func files(_ name: String) throws -> [URL] {
        try FileManager.default.contentsOfDirectory(
            at: folder.appendingPathComponent(name), includingPropertiesForKeys: nil
        ).sorted { $0.path < $1.path }
    }
}

/// The largest difference of any sample, or nil for pictures of different sizes.
func difference(_ a: RGBImage, _ b: RGBImage) -> Int? {
    guard a.width == b.width, a.height == b.height else { return nil }
    return zip(a.pixels, b.pixels).map { abs(Int($0) - Int($1)) }.max()
}
