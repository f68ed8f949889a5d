import Glibc

/// Cross entropy of single images, for reports.
enum CrossEntropy {
    /// log Σ exp(logits) - logits[label], in nats and 64 bits.
    static func loss(_ logits: UnsafeBufferPointer<Float>, _ label: Int) -> Double {
        let largest = Double(logits.max() ?? 0)
        let sum = logits.reduce(0.0) { $0 + exp(Double($1) - largest) }
        return largest + log(sum) - Double(logits[label])
    }
}
