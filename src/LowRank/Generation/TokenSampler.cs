using System.Buffers;
using System.Numerics;
using System.Runtime.InteropServices;
using LowRank.Data;
using LowRank.Kernels;

namespace LowRank.Generation;

/// <summary>Chooses the tokens of one text: bias and penalties, then temperature, top-k, top-p and min-p, then a random
/// number that depends on the seed and the place in the text alone. So a text is the same whatever is written beside
/// it.</summary>
internal sealed class TokenSampler
{
    private readonly GenerationOptions options;
    private readonly ulong stream;
    private readonly Dictionary<int, int> written = []; // counts; only where penalties need them
    private readonly HashSet<int> seen = [];            // the prompt's tokens and the written ones
    private readonly bool penalizes, changes;
    private long place;

    /// <summary>Starts a text.</summary>
    /// <param name="options">Valid options.</param>
    /// <param name="prompt">The text's beginning, which the repetition penalty counts.</param>
    /// <param name="index">Which of the texts with the same options it is: each has its own random numbers.</param>
    public TokenSampler(GenerationOptions options, IEnumerable<int>? prompt = null, int index = 0)
    {
        this.options = options;
        stream = new StableRandom((ulong)options.Seed).Next() + (ulong)index;
        penalizes = options.RepetitionPenalty != 1 || options.FrequencyPenalty != 0 || options.PresencePenalty != 0;
        changes = penalizes || options.LogitBias.Count > 0;
        if (options.RepetitionPenalty != 1 && prompt is not null) seen.UnionWith(prompt);
    }

    /// <summary>Whether it always takes the most likely token.</summary>
    public bool IsGreedy => options.Temperature == 0;

    /// <summary>The next token.</summary>
    /// <param name="logits">One number per token of the vocabulary.</param>
    /// <param name="allowed">A bit for each token that may follow; empty for all.</param>
    /// <param name="workspace">Memory of the same length as the logits, which is overwritten: with the logits after
    /// bias and penalties, or the weights that the token was drawn by.</param>
    /// <returns>The token, which counts as written; null if the largest logit of those allowed is not finite: no token
    /// can be chosen.</returns>
    public int? Choose(ReadOnlySpan<float> logits, ReadOnlySpan<uint> allowed, Span<float> workspace)
    {
        int chosen;
        if (IsGreedy && !changes && allowed.IsEmpty)
        {
            chosen = Largest(logits);
            if (!float.IsFinite(logits[chosen])) return null;
        }
        else
        {
            Span<float> changed = workspace[..logits.Length];
            logits.CopyTo(changed);
            // NaN is not to be hidden by what is allowed.
            if (!float.IsFinite(changed[Largest(changed)])) return null;
            Change(changed);
            Forbid(changed, allowed);
            chosen = Largest(changed);
            if (!float.IsFinite(changed[chosen])) return null;
            if (!IsGreedy) chosen = Draw(changed, changed[chosen]);
        }
        Add(chosen);
        return chosen;
    }

    private void Add(int token)
    {
        place++;
        if (!penalizes) return;
        seen.Add(token);
        CollectionsMarshal.GetValueRefOrAddDefault(written, token, out _)++;
    }

    // The repetition penalty is CTRL's (arXiv 1909.05858, section 4.1), the other two are OpenAI's. The bias comes
    // first, as in transformers, vLLM and llama.cpp.
    private void Change(Span<float> logits)
    {
        foreach ((int token, double bias) in options.LogitBias)
            if (token < logits.Length) logits[token] += (float)bias;
        if (options.RepetitionPenalty != 1)
            foreach (int token in seen)
                if (token < logits.Length)
                    logits[token] = (float)(logits[token] > 0 ? logits[token] / options.RepetitionPenalty
                        : logits[token] * options.RepetitionPenalty);
        if (options.FrequencyPenalty != 0 || options.PresencePenalty != 0)
            foreach ((int token, int count) in written)
                logits[token] -= (float)(options.FrequencyPenalty * count + options.PresencePenalty);
    }

    private static void Forbid(Span<float> logits, ReadOnlySpan<uint> allowed)
    {
        if (allowed.IsEmpty) return;
        for (int first = 0; first < logits.Length; first += 32)
        {
            uint word = first >> 5 < allowed.Length ? allowed[first >> 5] : 0;
            if (word == uint.MaxValue) continue;
            Span<float> some = logits.Slice(first, Math.Min(32, logits.Length - first));
            if (word == 0) some.Fill(float.NegativeInfinity);
            else
                for (int i = 0; i < some.Length; i++)
                    if ((word >> i & 1) == 0) some[i] = float.NegativeInfinity;
        }
    }

    // The first of the largest; NaN is larger than everything.
    private static int Largest(ReadOnlySpan<float> logits)
    {
        float largest = float.NegativeInfinity;
        ReadOnlySpan<Vector<float>> vectors = MemoryMarshal.Cast<float, Vector<float>>(logits);
        Vector<float> most = new(largest);
        Vector<int> isNumber = Vector<int>.AllBitsSet;
        foreach (Vector<float> vector in vectors)
        {
            most = Vector.Max(most, vector);
            isNumber &= Vector.Equals(vector, vector);
        }
        bool hasNaN = isNumber != Vector<int>.AllBitsSet;
        for (int i = 0; i < Vector<float>.Count && vectors.Length > 0; i++) largest = MathF.Max(largest, most[i]);
        foreach (float rest in logits[(vectors.Length * Vector<float>.Count)..])
        {
            hasNaN |= float.IsNaN(rest);
            largest = MathF.Max(largest, rest);
        }
        if (!hasNaN) return Math.Max(0, logits.IndexOf(largest));
        int i0 = 0;
        while (!float.IsNaN(logits[i0])) i0++;
        return i0;
    }

    private int Draw(Span<float> logits, float largest)
    {
        // Relative to the largest, no temperature overflows; a tiny one turns the others into minus infinity.
        double divisor = Math.Max(options.Temperature, SmallestNormal);
        float least = float.NegativeInfinity;
        if (options.TopK > 0 && options.TopK < logits.Length) least = KthLargest(logits, options.TopK);
        if (options.MinP > 0) least = MathF.Max(least, (float)(largest + Math.Log(options.MinP) * divisor));
        double sum = 0;
        for (int token = 0; token < logits.Length; token++)
        {
            // Ties with the last of the k stay, as a threshold keeps them.
            double weight = logits[token] < least ? 0 : Math.Exp((logits[token] - largest) / divisor);
            logits[token] = (float)weight;
            sum += logits[token];
        }
        if (options.TopP < 1) sum = KeepNucleus(logits, options.TopP * sum);
        double point = Uniform() * sum;
        int last = 0;
        for (int token = 0; token < logits.Length; token++)
        {
            if (logits[token] == 0) continue;
            last = token;
            point -= logits[token];
            if (point < 0) return token;
        }
        return last; // rounding of the sum
    }

    // The fewest of the heaviest tokens that reach the mass stay; a token stays if those before it do not reach it.
    private static double KeepNucleus(Span<float> weights, double mass)
    {
        // Candidates are taken from the top in ever wider bands, so that a large vocabulary need not be sorted. A key
        // is the weight's bits above the token's: weights are not negative, and their bits have their order.
        var heaviest = new List<ulong>();
        for (float band = FirstBand; ; band *= band)
        {
            heaviest.Clear();
            double covered = 0;
            for (int token = 0; token < weights.Length; token++)
                if (weights[token] > 0 && weights[token] >= band)
                {
                    heaviest.Add((ulong)~BitConverter.SingleToUInt32Bits(weights[token]) << 32 | (uint)token);
                    covered += weights[token];
                }
            if (covered >= mass || band == 0) break;
        }
        heaviest.Sort(); // the heaviest first, of equal ones the first
        weights.Clear();
        double before = 0;
        foreach (ulong key in heaviest)
        {
            if (before > 0 && before >= mass) break;
            before += weights[(int)(uint)key] = BitConverter.UInt32BitsToSingle(~(uint)(key >> 32));
        }
        return before;
    }

    // Counts by the upper half of the numbers' bits, and then, of those whose upper half is the k-th largest's, by the
    // lower half: as fast for any k.
    private static float KthLargest(ReadOnlySpan<float> logits, int k)
    {
        int[] counts = ArrayPool<int>.Shared.Rent(1 << HalfBits);
        try
        {
            uint upper = 0;
            for (int half = 0; half < 2; half++)
            {
                Array.Clear(counts);
                foreach (float logit in logits)
                {
                    uint key = Ordered(logit);
                    if (half == 0) counts[key >> HalfBits]++;
                    else if (key >> HalfBits == upper) counts[(ushort)key]++;
                }
                int digit = ushort.MaxValue;
                while (counts[digit] < k) k -= counts[digit--];
                upper = upper << HalfBits | (uint)digit;
            }
            return BitConverter.UInt32BitsToSingle(upper >> 31 == 1 ? upper ^ 1u << 31 : ~upper);
        }
        finally
        {
            ArrayPool<int>.Shared.Return(counts);
        }
    }

    // Bits that have the order of the numbers.
    private static uint Ordered(float number)
    {
        uint bits = BitConverter.SingleToUInt32Bits(number);
        return bits >> 31 == 1 ? ~bits : bits | 1u << 31;
    }

    private double Uniform() => new StableRandom(stream + (ulong)place * Odd).NextDouble();

    private const double SmallestNormal = 1.17549435e-38; // of float32
    private const int HalfBits = 16;                      // of a float32
    private const float FirstBand = 1e-3f;                // of the likeliest token's weight
    private const ulong Odd = 0xD1B54A32D192ED03;         // streams of two places do not overlap
}
