import Foundation
import Images
import Testing

@Suite struct ResizeTests {
    static let filters: [String: ResampleFilter] = [
        "nearest": .nearest, "lanczos": .lanczos, "bilinear": .bilinear, "bicubic": .bicubic, "box": .box,
        "hamming": .hamming,
    ]

    @Test func equalsPillowBitForBit() throws {
        let photo = try Cases.photo()
        var compared = 0
        for url in Cases.list("resize", "rgb") {
            let (name, width, height) = try Cases.parts(url)
            guard let filter = ResizeTests.filters[name] else { continue }
            let resized = photo.resized(to: ImageSize(height: height, width: width), filter: filter)
            #expect(resized == (try Cases.picture(url)), "\(url.lastPathComponent)")
            compared += 1
        }
        #expect(compared == 54)
    }

    @Test func equalsTorchvisionBitForBit() throws {
        let photo = try Cases.photo()
        var (compared, unlikePillow) = (0, Set<String>())
        for url in Cases.list("torchvision", "rgb") {
            let (name, width, height) = try Cases.parts(url)
            let filter = try #require(ResizeTests.filters[name])
            let size = ImageSize(height: height, width: width)
            let resized = photo.resized(to: size, filter: filter, backend: .torchvision)
            #expect(resized == (try Cases.picture(url)), "\(url.lastPathComponent)")
            if resized != photo.resized(to: size, filter: filter) { unlikePillow.insert(name) }
            compared += 1
        }
        #expect(compared == 36)
        #expect(unlikePillow.isSuperset(of: ["bilinear", "bicubic", "lanczos"]))
    }

    @Test(arguments: [ResampleFilter.nearest, .bilinear, .bicubic, .lanczos])
    func torchvisionGivesPartsOfTheWhole(_ filter: ResampleFilter) throws {
        let photo = try Cases.photo()
        for (width, height) in [(61, 30), (20, 17), (90, 80), (58, 9)] {
            let size = ImageSize(height: height, width: width)
            let whole = photo.resized(to: size, filter: filter, backend: .torchvision)
            let rows = height / 4..<height - height / 3
            let columns = width / 5..<width - width / 6
            let part = photo.resized(to: size, filter: filter, backend: .torchvision, rows: rows, columns: columns)
            let cropped = rows.flatMap { y in
                whole.pixels[(y * width + columns.lowerBound) * 3..<(y * width + columns.upperBound) * 3]
            }
            #expect(part.pixels == cropped, "\(width) x \(height)")
        }
    }

    @Test(arguments: ResampleFilter.allCases)
    func keepsAConstantPicture(_ filter: ResampleFilter) {
        for (width, height, level) in [(1, 1, 255), (3, 40, 17), (50, 2, 0), (37, 29, 128)] {
            let image = RGBImage(
                width: width, height: height,
                pixels: [UInt8](repeating: UInt8(level), count: width * height * 3))
            for size in [(1, 1), (5, 64), (90, 3), (37, 29)] {
                let resized = image.resized(to: ImageSize(height: size.1, width: size.0), filter: filter)
                #expect(resized.pixels.allSatisfy { $0 == UInt8(level) })
            }
        }
    }

    @Test(arguments: ResampleFilter.allCases)
    func leavesThePictureAtItsOwnSize(_ filter: ResampleFilter) throws {
        let photo = try Cases.photo()
        #expect(photo.resized(to: ImageSize(height: 47, width: 61), filter: filter) == photo)
    }

    @Test(arguments: ResampleFilter.allCases)
    func givesThePartThatCroppingTheWholeGives(_ filter: ResampleFilter) throws {
        let photo = try Cases.photo()
        let sizes = [(61, 30), (30, 47), (20, 17), (90, 80), (58, 9), (61, 47)]
        for (width, height) in sizes {
            let size = ImageSize(height: height, width: width)
            let whole = photo.resized(to: size, filter: filter)
            let rows = height / 4..<height - height / 3
            let columns = width / 5..<width - width / 6
            let part = photo.resized(to: size, filter: filter, rows: rows, columns: columns)
            let cropped = rows.flatMap { y in
                whole.pixels[(y * width + columns.lowerBound) * 3..<(y * width + columns.upperBound) * 3]
            }
            #expect(part.pixels == cropped, "\(width) x \(height)")
        }
    }

    /// Mirroring commutes with the filters whose kernel is symmetric at the sampled points.
    @Test(arguments: [ResampleFilter.bilinear, .bicubic, .lanczos, .hamming])
    func mirrorsWithItsInput(_ filter: ResampleFilter) throws {
        func mirrored(_ image: RGBImage) -> RGBImage {
            var pixels: [UInt8] = []
            for y in 0..<image.height {
                for x in (0..<image.width).reversed() {
                    let start = (y * image.width + x) * 3
                    pixels += image.pixels[start..<start + 3]
                }
            }
            return RGBImage(width: image.width, height: image.height, pixels: pixels)
        }
        let photo = try Cases.photo()
        let size = ImageSize(height: 19, width: 23)
        let worst = difference(
            mirrored(photo).resized(to: size, filter: filter), mirrored(photo.resized(to: size, filter: filter)))
        #expect(try #require(worst) <= 1)
    }
}
