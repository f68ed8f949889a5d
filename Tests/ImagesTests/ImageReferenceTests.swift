import Files
import Foundation
import Images
import Tensors
import Testing

/// The reference cases beside the package: larger, and drawn apart from the tests' own.
@Suite(.enabled(if: Reference.isPresent)) struct ImageReferenceTests {
    @Test func decodes() throws {
        for url in try Reference.files("images") where url.lastPathComponent.split(separator: ".").count == 2 {
            guard ["png", "jpg"].contains(url.pathExtension) else { continue }
            let expected = url.deletingPathExtension().appendingPathExtension("rgb.png")
            let worst = difference(
                try RGBImage(decoding: Cases.bytes(url)), try RGBImage(decoding: Cases.bytes(expected)))
            #expect(try #require(worst) <= (url.pathExtension == "png" ? 0 : 2), "\(url.lastPathComponent)")
        }
    }

    @Test func resizes() throws {
        let photo = try RGBImage(decoding: Cases.bytes(Reference.folder.appendingPathComponent("images/photo.png")))
        for url in try Reference.files("resize") {
            let fields = url.deletingPathExtension().lastPathComponent.split(separator: "_")
            let filter = try #require(ResizeTests.filters[String(fields[0])])
            let expected = try RGBImage(decoding: Cases.bytes(url))
            let size = ImageSize(height: expected.height, width: expected.width)
            #expect(photo.resized(to: size, filter: filter) == expected, "\(url.lastPathComponent)")
        }
    }

    @Test func preparesPixelValues() throws {
        for url in try Reference.files("preprocess") where url.pathExtension == "safetensors" {
            let fields = url.deletingPathExtension().lastPathComponent.split(separator: "_")
            let json = url.deletingLastPathComponent().appendingPathComponent("\(fields[0]).json")
            let settings = try Preprocessing(json: JSON(parsing: Cases.bytes(json)), path: json.path)
            let image = Reference.folder.appendingPathComponent("images/\(fields[1]).rgb.png")
            let values = settings.pixelValues(of: try settings.apply(try RGBImage(decoding: Cases.bytes(image))))
            let expected = try SafetensorsFile(path: url.path).tensor("pixel_values")
            #expect(values.shape == expected.shape)
            let worst = zip(values.values, expected.values).map { abs($0 - $1) }.max() ?? .infinity
            #expect(worst <= 1e-6, "\(url.lastPathComponent)")
        }
    }
}
