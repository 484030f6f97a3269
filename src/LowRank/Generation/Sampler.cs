using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Generation;

/// <summary>Chooses the next token of each row from its logits: temperature, then top-k, then top-p, then a draw.</summary>
public sealed class Sampler : IDisposable
{
    private readonly GenerationOptions options;
    private readonly Generator generator;

    /// <summary>Starts a sequence of choices from the options' seed.</summary>
    public Sampler(GenerationOptions options)
    {
        options.Validate();
        this.options = options;
        generator = new Generator().manual_seed(options.Seed);
    }

    /// <summary>The chosen token of each row.</summary>
    /// <param name="logits">[rows, vocabulary size]</param>
    public long[] Choose(Tensor logits)
    {
        using var scope = NewDisposeScope();
        if (options.Temperature == 0) return logits.argmax(-1).cpu().data<long>().ToArray();
        Tensor scaled = logits.cpu() / options.Temperature;
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
        // A token stays when what stands before it does not yet reach the probability: the first always does.
        Tensor before = probabilities.cumsum(-1) - probabilities;
        Tensor dropped = (before >= probability).to(ScalarType.Int64);
        Tensor mask = zeros_like(dropped).scatter_(-1, order, dropped) != 0;
        return logits.masked_fill(mask, double.NegativeInfinity);
    }
}
