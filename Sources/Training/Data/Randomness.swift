package import Tensors

/// Random numbers of a run. Each purpose has its own generator, so the order of draws does not matter.
extension SplitMix64 {
    /// The generator of the order of the training images in an epoch.
    static func order(seed: UInt64, epoch: Int) -> SplitMix64 { SplitMix64(seed: seed, name: "order \(epoch)") }

    /// The generator of the changes of an image in an epoch.
    static func augmentation(seed: UInt64, epoch: Int, image: Int) -> SplitMix64 {
        SplitMix64(seed: seed, name: "augmentation \(epoch) \(image)")
    }

    /// The generator of the split of a class into training and validation images.
    static func split(seed: UInt64, class: Int) -> SplitMix64 { SplitMix64(seed: seed, name: "split \(`class`)") }

    /// A seed derived from a name.
    package static func seed(_ seed: UInt64, _ name: String) -> UInt64 {
        var generator = SplitMix64(seed: seed, name: name)
        return generator.next()
    }

    /// The numbers of `0..<count` in random order (Fisher and Yates).
    mutating func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        for last in stride(from: count - 1, to: 0, by: -1) {
            order.swapAt(last, Int(nextUniform() * Double(last + 1)))
        }
        return order
    }
}
