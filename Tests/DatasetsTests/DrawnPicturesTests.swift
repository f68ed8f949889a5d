import Files
import Images
import Testing

@testable import Datasets

@Suite struct DrawnPicturesTests {
    private let size = ImageSize(height: 48, width: 64)

    /// The bytes are part of what recipes promise: another SHA-256 here needs another `kind`.
    @Test func aSeedGivesTheSamePicturesForever() {
        let pictures = (0..<20).map { DrawnPictures(seed: 7).picture($0, size: size) }
        let digest = SHA256.text(of: pictures.lazy.map(\.pixels))
        #expect(digest == "9e068c5ce8f2e3f4ef3143bdefa21bf704ed82af2d3fab30f38d76bddc458a9f")
        #expect(DrawnPictures.kind == "shapes-1")
    }

    @Test func picturesDifferBySeedAndIndexAlone() {
        let one = DrawnPictures(count: 10, seed: 1).picture(3, size: size)
        #expect(one == DrawnPictures(count: 20, seed: 1).picture(3, size: size))
        #expect(one != DrawnPictures(count: 10, seed: 1).picture(4, size: size))
        #expect(one != DrawnPictures(count: 10, seed: 2).picture(3, size: size))
        #expect(one.size == size)
    }

    /// Every picture has structure that survives a halving of its resolution, and the pictures differ in colour.
    @Test func picturesHaveShapesAndColours() {
        let pictures = (0..<40).map { DrawnPictures(seed: 0).picture($0, size: size) }
        func mean(_ values: some Collection<UInt8>) -> Double {
            values.reduce(0) { $0 + Double($1) } / Double(values.count)
        }
        let means = pictures.map { mean($0.pixels) }
        #expect((means.max() ?? 0) - (means.min() ?? 0) > 60)
        for picture in pictures {
            var blocks: [Double] = []
            for y in stride(from: 0, to: size.height, by: 8) {
                for x in stride(from: 0, to: size.width, by: 8) {
                    var block: [UInt8] = []
                    for row in y..<y + 8 {
                        let start = (row * size.width + x) * 3
                        block += picture.pixels[start..<start + 24]
                    }
                    blocks.append(mean(block))
                }
            }
            #expect((blocks.max() ?? 0) - (blocks.min() ?? 0) > 20)
        }
    }
}
