using LowRank.Generation;
using static TorchSharp.torch;

namespace LowRank.Tests.Generation;

public sealed class SamplerTests
{
    // Probabilities 0.4, 0.3, 0.2, 0.07, 0.03, the likeliest not first.
    private static readonly float[] Logits = [.. new[] { 0.2, 0.4, 0.07, 0.3, 0.03 }.Select(p => (float)Math.Log(p))];

    private static int[] Counts(GenerationOptions options, int draws = 2000)
    {
        using var scope = NewDisposeScope();
        var sampler = new Sampler(options);
        var counts = new int[Logits.Length];
        foreach (long chosen in sampler.Choose(tensor(Logits).unsqueeze(0).expand(draws, -1))) counts[chosen]++;
        return counts;
    }

    private static int[] Kept(GenerationOptions options) =>
        [.. Counts(options).Select((count, token) => (count, token)).Where(t => t.count > 0).Select(t => t.token)];

    [Theory]
    [InlineData(1, new[] { 1 })]
    [InlineData(2, new[] { 1, 3 })]
    [InlineData(4, new[] { 0, 1, 2, 3 })]
    [InlineData(0, new[] { 0, 1, 2, 3, 4 })]
    [InlineData(99, new[] { 0, 1, 2, 3, 4 })]
    public void Top_k_keeps_the_likeliest(int k, int[] kept) =>
        Assert.Equal(kept, Kept(new GenerationOptions { Temperature = 1, TopK = k }));

    [Theory]
    [InlineData(0.01, new[] { 1 })]
    [InlineData(0.39, new[] { 1 })]
    [InlineData(0.5, new[] { 1, 3 })]
    [InlineData(0.71, new[] { 0, 1, 3 })]
    [InlineData(0.95, new[] { 0, 1, 2, 3 })]
    [InlineData(1, new[] { 0, 1, 2, 3, 4 })]
    public void Top_p_keeps_the_fewest_that_reach_it(double p, int[] kept) =>
        Assert.Equal(kept, Kept(new GenerationOptions { Temperature = 1, TopP = p }));

    [Fact]
    public void Top_p_counts_what_top_k_left() => // 0.4 and 0.3 become 0.57 and 0.43
        Assert.Equal([1], Kept(new GenerationOptions { Temperature = 1, TopK = 2, TopP = 0.55 }));

    [Theory]
    [InlineData(1, 1.0), InlineData(2, 1.0), InlineData(50, 0.9), InlineData(3000, 1.0), InlineData(3000, 0.99),
        InlineData(4999, 0.3), InlineData(5000, 1.0), InlineData(int.MaxValue, 0.999)]
    public void Any_k_and_p_keep_what_sorting_all_tokens_keeps(int k, double p)
    {
        var random = new Random(k);
        float[] logits = [.. Enumerable.Range(0, 5000).Select(i => i % 7 == 0 ? float.NegativeInfinity
            : MathF.Round((float)(random.NextDouble() - 0.6) * 8, 2))]; // of both signs, with zeros and many ties
        var workspace = new float[logits.Length];
        var options = new GenerationOptions { Temperature = 1, TopK = k, TopP = p };
        int chosen = new TokenSampler(options).Choose(logits, [], workspace)!.Value;
        int[] sorted = [.. Enumerable.Range(0, logits.Length).OrderByDescending(token => logits[token])];
        float least = logits[sorted[Math.Min(k, logits.Length) - 1]];
        sorted = [.. sorted.Where(token => logits[token] >= least && float.IsFinite(logits[token]))];
        double all = sorted.Sum(token => Math.Exp(logits[token])), before = 0;
        HashSet<int> expected = [];
        foreach (int token in sorted)
        {
            if (p < 1 && before >= p * all) break;
            expected.Add(token);
            before += Math.Exp(logits[token]);
        }
        Assert.Equal(expected, workspace.Index().Where(one => one.Item > 0).Select(one => one.Index).ToHashSet());
        Assert.Contains(chosen, expected);
        Assert.All(expected, token =>
            Assert.Equal(Math.Exp(logits[token] - logits[sorted[0]]), workspace[token], 1e-6));
    }

    [Fact]
    public void Draws_follow_the_probabilities_and_the_temperature_sharpens_them()
    {
        int[] plain = Counts(new GenerationOptions { Temperature = 1 }, 20000);
        Assert.InRange(plain[1], 7700, 8300);
        Assert.InRange(plain[4], 480, 720);
        // At temperature 0.5 probabilities are squared: 0.16 of 0.2958 in all.
        Assert.InRange(Counts(new GenerationOptions { Temperature = 0.5 }, 20000)[1], 10500, 11130);
    }

    [Theory]
    [InlineData(1e-40, 1)]
    [InlineData(5e-324, 1)]
    [InlineData(1, 1e-300)]
    [InlineData(1e-300, 1e-300)]
    [InlineData(0.01, 1)]
    public void A_tiny_temperature_or_top_p_takes_the_likeliest(double temperature, double topP) =>
        Assert.Equal([1], Kept(new GenerationOptions { Temperature = temperature, TopP = topP }));

    [Fact]
    public void A_huge_temperature_takes_all_alike() =>
        Assert.All(Counts(new GenerationOptions { Temperature = 1e308 }), count => Assert.InRange(count, 300, 500));

    [Theory]
    [InlineData(float.NaN, 0)]
    [InlineData(float.NaN, 1)]
    [InlineData(float.PositiveInfinity, 0)]
    [InlineData(float.PositiveInfinity, 1)]
    public void Logits_that_are_not_finite_are_refused_in_words(float value, double temperature)
    {
        using var scope = NewDisposeScope();
        var sampler = new Sampler(new GenerationOptions { Temperature = temperature });
        Tensor logits = zeros(2, 5);
        logits[1, 3] = value;
        Assert.Throws<NonFiniteException>(() => sampler.Choose(logits));
        Assert.Throws<NonFiniteException>(() => sampler.Choose(full(1, 5, Number(float.NegativeInfinity))));
        logits[1, 3] = float.NegativeInfinity; // a token that cannot be chosen
        Assert.Equal(2, sampler.Choose(logits).Length);
    }

    [Fact]
    public void A_seed_gives_the_same_choices_and_another_one_others()
    {
        using var scope = NewDisposeScope();
        Tensor logits = zeros(50, 1000);
        Sampler one = new(new GenerationOptions { Temperature = 1, Seed = 3 }),
            same = new(new GenerationOptions { Temperature = 1, Seed = 3 }),
            other = new(new GenerationOptions { Temperature = 1, Seed = 4 });
        long[] first = one.Choose(logits), second = one.Choose(logits);
        Assert.NotEqual(first, second);
        using Tensor drawn = rand(3); // the global generator has no part in it
        Assert.Equal(first, same.Choose(logits));
        Assert.Equal(second, same.Choose(logits));
        Assert.NotEqual(first, other.Choose(logits));
    }

    [Fact]
    public void Zero_temperature_takes_the_likeliest() =>
        Assert.Equal([0, 10, 0, 0, 0], Counts(new GenerationOptions(), 10));

    [Fact]
    public void Every_option_out_of_range_is_named()
    {
        string message = Assert.Throws<InputException>(() =>
            new GenerationOptions { MaxNewTokens = 0, Temperature = double.NaN, TopK = -1,
                TopP = 1.5 }.Validate()).Message;
        foreach (string part in new[] { "the number of new tokens is 0", "temperature is NaN", "top-k is -1",
            "top-p is 1.5" })
            Assert.Contains(part, message);
        Assert.Contains(
            "top-p is 0", Assert.Throws<InputException>(
                () => new GenerationOptions { Temperature = 1, TopP = 0 }.Validate()).Message);
        Assert.Contains(
            "need the temperature to be above 0",
            Assert.Throws<InputException>(() => new Sampler(new GenerationOptions { TopK = 5 })).Message);
        new GenerationOptions { Temperature = 0.7, TopK = 40, TopP = 0.9 }.Validate();
    }

    [Fact]
    public void Defaults_are_pinned()
    {
        var options = new GenerationOptions();
        Assert.Equal((128, 0.0, 0, 1.0, 42L, 0),
            (options.MaxNewTokens, options.Temperature, options.TopK, options.TopP, options.Seed,
            options.StopTokenIds.Count));
    }
}
