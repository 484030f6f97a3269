using System.Runtime.InteropServices;
using LowRank.Kernels;
using static TorchSharp.torch;

namespace LowRank.Generation;

/// <summary>Chooses the next token of each text of a batch (<see cref="TokenSampler"/>).</summary>
internal sealed class Sampler
{
    private readonly GenerationOptions options;
    private readonly IReadOnlyList<int[]>? prompts;
    private readonly int first;
    private readonly TokenConstraint? constraint;
    private readonly Dictionary<int, (TokenSampler Sampler, ConstraintState? State)> texts = [];
    private float[] workspace = [];

    /// <summary>Starts each text's random sequence from the options' seed and its number.</summary>
    /// <param name="options">The options.</param>
    /// <param name="prompts">What the texts begin with; null where nothing counts it.</param>
    /// <param name="first">The number of the first text.</param>
    /// <param name="constraint">What the texts have to be; null for anything.</param>
    public Sampler(GenerationOptions options, IReadOnlyList<int[]>? prompts = null, int first = 0,
        TokenConstraint? constraint = null)
    {
        options.Validate();
        (this.options, this.prompts, this.first, this.constraint) = (options, prompts, first, constraint);
    }

    /// <summary>Whether nothing may follow in a text.</summary>
    public bool MustEnd(int text) => texts.TryGetValue(text, out var one) && one.State?.MustEnd == true;

    /// <summary>The chosen token of each row, the rows being the first texts.</summary>
    /// <param name="logits">[rows, vocabulary size]</param>
    /// <exception cref="NonFiniteException">A row's largest logit is not finite: the row contains NaN or infinity, or
    /// only minus infinity.</exception>
    public long[] Choose(Tensor logits) => Choose(logits, [.. Enumerable.Range(0, (int)logits.shape[0])],
        () => new NonFiniteException("A row's largest logit is not finite, so no token can be chosen."));

    /// <summary>Like <see cref="Choose(Tensor)"/>, with the number of each row's text and the caller's own
    /// exception.</summary>
    internal long[] Choose(Tensor logits, IReadOnlyList<int> rows, Func<NonFiniteException> failure)
    {
        using var scope = NewDisposeScope();
        int width = (int)logits.shape[1];
        if (workspace.Length < width) workspace = new float[width];
        ReadOnlySpan<float> all = MemoryMarshal.Cast<byte, float>(
            logits.detach().to(ScalarType.Float32).cpu().contiguous().bytes);
        var chosen = new long[rows.Count];
        for (int row = 0; row < rows.Count; row++)
        {
            if (!texts.TryGetValue(rows[row], out var text))
                texts[rows[row]] = text = (new TokenSampler(options, prompts?[rows[row]], first + rows[row]),
                    constraint?.Start(options.StopTokenIds));
            ReadOnlySpan<uint> allowed = text.State is { HasEnded: false } state ? state.Allowed : [];
            int token = text.Sampler.Choose(all.Slice(row * width, width), allowed, workspace) ?? throw failure();
            text.State?.TryAdd(token);
            chosen[row] = token;
        }
        return chosen;
    }
}
