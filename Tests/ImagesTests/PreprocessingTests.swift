import Files
import Foundation
import Images
import Tensors
import Testing

func preprocessing(_ text: String) throws -> Preprocessing {
    try Preprocessing(json: JSON(parsing: Array(text.utf8)), path: "preprocessor_config.json")
}

@Suite struct PreprocessingTests {
    @Test func equalsTransformers() throws {
        let photo = try Cases.photo()
        let settings = Cases.list("preprocess", "json")
        #expect(settings.count == 8)
        for url in settings {
            let name = url.deletingPathExtension().lastPathComponent
            let expected = try #require(Cases.list("preprocess", "f32").first { try Cases.parts($0).name == name })
            let (_, height, width) = try Cases.parts(expected)
            let settings = try Preprocessing(json: JSON(parsing: Cases.bytes(url)), path: url.path)
            let values = settings.pixelValues(of: try settings.apply(photo))
            #expect(values.shape == [1, 3, height, width])
            let reference = try Cases.bytes(expected).withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
            #expect(reference.count == values.count)
            let worst = zip(values.values, reference).map { abs($0 - $1) }.max() ?? .infinity
            // Sums of two roundings to 32 bits, of values up to 255 where nothing is rescaled.
            #expect(worst <= (name == "raw" ? 0 : 1e-6), "\(name)")
            if name != "shortest" { #expect(settings.outputSize == ImageSize(height: height, width: width)) }
        }
    }

    @Test func equalsTransformersWithTorchvision() throws {
        let photo = try Cases.photo()
        let references = Cases.list("torchvision", "f32")
        #expect(references.count == 7)
        for expected in references {
            let (name, height, width) = try Cases.parts(expected)
            let json = try JSON(parsing: Cases.bytes("preprocess", "\(name).json"))
            let settings = try Preprocessing(json: json, path: name, resize: .torchvision)
            let values = settings.pixelValues(of: try settings.apply(photo))
            #expect(values.shape == [1, 3, height, width])
            let reference = try Cases.bytes(expected).withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
            let worst = zip(values.values, reference).map { abs($0 - $1) }.max() ?? .infinity
            #expect(reference.count == values.count && worst <= (name == "raw" ? 0 : 1e-6), "\(name)")
        }
    }

    @Test func paddingIsBlackBeforeItIsNormalised() throws {
        let settings = try preprocessing(
            #"{"image_processor_type": "ViTImageProcessor", "do_resize": false, "do_center_crop": true, "#
                + #""crop_size": 4}"#)
        let image = RGBImage(width: 1, height: 1, pixels: [255, 255, 255])
        let values = settings.pixelValues(of: try settings.apply(image))
        // An odd border has its larger half in front.
        var expected = [Float](repeating: -1, count: 48)
        for channel in 0..<3 { expected[channel * 16 + 2 * 4 + 2] = 1 }
        #expect(values.values == expected)
    }

    @Test func sizesThatDependOnThePicture() throws {
        let settings = try preprocessing(
            #"{"image_processor_type": "ViTImageProcessor", "size": {"shortest_edge": 100}}"#)
        #expect(settings.outputSize == nil)
        let image = RGBImage(width: 7, height: 3, pixels: [UInt8](repeating: 9, count: 63))
        let resized = try settings.apply(image)
        #expect((resized.width, resized.height) == (233, 100))
        let line = RGBImage(width: 1000, height: 1, pixels: [UInt8](repeating: 9, count: 3000))
        let error = #expect(throws: ImageError.self) { try settings.apply(line) }
        #expect(error?.kind == .tooLarge)
    }

    @Test func cropsALongPictureWithoutResizingAllOfIt() throws {
        let settings = try preprocessing(
            #"{"image_processor_type": "BitImageProcessor", "size": 9999, "crop_size": 8}"#)
        let line = RGBImage(width: 900_000, height: 1, pixels: [UInt8](repeating: 77, count: 2_700_000))
        #expect(try settings.apply(line).pixels == [UInt8](repeating: 77, count: 192))
    }

    @Test(arguments: [(4, 4, 8, 12), (3, 5, 10, 17), (2, 1, 3, 3), (9, 9, 8, 8)])
    func patchesAreTheValuesInTheOrderOfAConvolution(_ patchHeight: Int, _ patchWidth: Int, _ h: Int, _ w: Int) throws {
        let settings = try preprocessing(#"{"image_processor_type": "CLIPImageProcessor"}"#)
        var generator = SplitMix64(state: 1)
        let image = RGBImage(
            width: w, height: h, pixels: (0..<w * h * 3).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
        let values = settings.pixelValues(of: image).values
        let (down, across) = (h / patchHeight, w / patchWidth)
        var patches = [Float](repeating: .nan, count: down * across * 3 * patchHeight * patchWidth)
        patches.withUnsafeMutableBufferPointer {
            PixelValueTable(settings).writePatches(
                of: image, patchHeight: patchHeight, patchWidth: patchWidth, into: $0)
        }
        var expected: [Float] = []
        for row in 0..<down {
            for column in 0..<across {
                for channel in 0..<3 {
                    for y in 0..<patchHeight {
                        for x in 0..<patchWidth {
                            expected.append(
                                values[(channel * h + row * patchHeight + y) * w + column * patchWidth + x])
                        }
                    }
                }
            }
        }
        #expect(patches == expected)
    }
}
