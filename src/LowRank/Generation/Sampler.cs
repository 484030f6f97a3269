using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Generation;

/// <summary>Chooses the next token of each row from its logits: temperature, then top-k, then top-p, then
/// sampling.</summary>
internal sealed class Sampler : IDisposable
{
    private const double SmallestNormal = 1.17549435e-38; // of float32, in which logits are divided

    private readonly GenerationOptions options;
    private readonly Generator generator;

    /// <summary>Starts a random sequence from the options' seed.</summary>
    public Sampler(GenerationOptions options)
    {
        options.Validate();
        this.options = options;
        generator = new Generator().manual_seed(options.Seed);
    }

    /// <summary>Whether it always takes the most likely token, so that a row's tokens do not depend on the rows that
    /// are drawn before it.</summary>
    public bool IsGreedy => options.Temperature == 0;

    /// <summary>The chosen token of each row.</summary>
    /// <param name="logits">[rows, vocabulary size]</param>
    /// <exception cref="NonFiniteException">A row's largest logit is not finite: the row contains NaN or infinity, or
    /// only minus infinity.</exception>
    public long[] Choose(Tensor logits) =>
        Choose(logits, () => new NonFiniteException("A row's largest logit is not finite, so no token can be chosen."));

    /// <summary>Like <see cref="Choose(Tensor)"/>, with the caller's own exception.</summary>
    internal long[] Choose(Tensor logits, Func<NonFiniteException> failure)
    {
        using var scope = NewDisposeScope();
        (Tensor largest, Tensor likeliest) = logits.max(-1, keepdim: true); // NaN is larger than everything
        foreach (float value in largest.cpu().data<float>())
            if (!float.IsFinite(value)) throw failure();
        if (options.Temperature == 0) return likeliest.cpu().data<long>().ToArray();
        // Relative to the largest logit, no temperature can cause overflow; a tiny one turns the others into minus
        // infinity.
        Tensor scaled = (logits - largest).cpu() / Math.Max(options.Temperature, SmallestNormal);
        if (options.TopK > 0 && options.TopK < scaled.shape[^1])
        {
            Tensor least = scaled.topk(options.TopK, -1).values.narrow(-1, options.TopK - 1, 1);
            scaled = scaled.masked_fill(scaled < least, double.NegativeInfinity);
        }
        if (options.TopP < 1) scaled = KeepNucleus(scaled, options.TopP);
        return nn.functional.softmax(scaled, -1).multinomial(1, false, generator).view(-1).data<long>().ToArray();
    }

    /// <inheritdoc/>
    public void Dispose() => generator.Dispose();

    private static Tensor KeepNucleus(Tensor logits, double probability)
    {
        (Tensor sorted, Tensor order) = logits.sort(-1, descending: true);
        Tensor probabilities = nn.functional.softmax(sorted, -1);
        // A token stays if the tokens before it do not yet reach the probability, so the first always stays, even for a
        // tiny probability.
        Tensor before = probabilities.cumsum(-1) - probabilities;
        Tensor dropped = (before >= probability).to(ScalarType.Int64);
        dropped.narrow(-1, 0, 1).zero_();
        Tensor mask = zeros_like(dropped).scatter_(-1, order, dropped) != 0;
        return logits.masked_fill(mask, double.NegativeInfinity);
    }
}
