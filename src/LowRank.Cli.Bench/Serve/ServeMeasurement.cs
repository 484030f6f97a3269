using LowRank.Cli.Bench.Generate;

namespace LowRank.Cli.Bench.Serve;

/// <summary>The measurements of <c>lowrank bench serve</c> for weights in one format.</summary>
/// <remarks>A round measures everything, one after the other. Values are compared within a round, because the memory's
/// speed changes over time; the median round counts. Costs compare the fastest step of a round, which other programs
/// affect least; rates are those of all steps.</remarks>
internal sealed record ServeMeasurement
{
    /// <summary>The options of the measurement.</summary>
    public required ServeOptions Options { get; init; }

    /// <summary>The format of the weights, such as nf4.</summary>
    public required string Format { get; init; }

    /// <summary>One text with the base alone.</summary>
    public required IReadOnlyList<TokenTimes> One { get; init; }

    /// <summary>One text with an adapter.</summary>
    public required IReadOnlyList<TokenTimes> Adapted { get; init; }

    /// <summary>One text with the base alone, by the generator without an engine.</summary>
    public required GenerationWay Generator { get; init; }

    /// <summary>Seconds that the prompt of one text is read.</summary>
    public required IReadOnlyList<double> PromptSeconds { get; init; }

    /// <summary>The same with an adapter.</summary>
    public required IReadOnlyList<double> AdaptedPromptSeconds { get; init; }

    /// <summary>For each number of texts of the options: that many with the base alone.</summary>
    public required IReadOnlyList<IReadOnlyList<TokenTimes>> Batches { get; init; }

    /// <summary>As many texts as there are adapters, each with another one; their prompts came before.</summary>
    public required IReadOnlyList<TokenTimes> Mixed { get; init; }

    /// <summary>The same with new prompts.</summary>
    public required IReadOnlyList<TokenTimes> Whole { get; init; }

    /// <summary>Seconds to the first token of a prompt that is new.</summary>
    public required IReadOnlyList<double> FirstWaits { get; init; }

    /// <summary>Seconds to the first token of a prompt that comes again.</summary>
    public required IReadOnlyList<double> RepeatedWaits { get; init; }

    /// <summary>One text that quotes its prompt.</summary>
    public required IReadOnlyList<TokenTimes> Plain { get; init; }

    /// <summary>The same with prompt lookup.</summary>
    public required IReadOnlyList<TokenTimes> Guessed { get; init; }

    /// <summary>Tokens that a step of it writes.</summary>
    public required double TokensPerStep { get; init; }

    /// <summary>Requests that arrive at random.</summary>
    public required IReadOnlyList<ServeLoad> Loads { get; init; }

    /// <summary>What llama-bench reached in turns with this; null if it was not measured, or has no such
    /// type.</summary>
    public LlamaBenchResult? Other { get; init; }

    /// <summary>What llama-server reached in turns with this; null if it was not measured, or has no such
    /// type.</summary>
    public LlamaServerResult? Server { get; init; }

    /// <summary>Tokens per second of one text.</summary>
    public double TokensPerSecond => Rate(One);

    /// <summary>Time that an adapter adds to a step of one text, as a share.</summary>
    public double AdapterCost => Cost(Adapted, One);

    /// <summary>Time that the engine adds to a step of the generator, as a share.</summary>
    public double EngineCost => Median.OfQuotients(One.Select(run => run.FastestSeconds), Generator.Rounds) - 1;

    /// <summary>Tokens of a prompt per second.</summary>
    public double PromptTokensPerSecond => Options.Prompt / Median.Of([.. PromptSeconds]);

    /// <summary>Time that an adapter adds to a prompt, as a share.</summary>
    public double PromptAdapterCost => Median.OfQuotients(AdaptedPromptSeconds, PromptSeconds) - 1;

    /// <summary>Tokens per second of several texts, each with another adapter.</summary>
    public double MixedTokensPerSecond => Rate(Mixed);

    /// <summary>The same from the requests to the end, prompts included.</summary>
    public double MixedWholeTokensPerSecond => Median.Of([.. Whole.Select(run => run.WholeTokensPerSecond)]);

    /// <summary>Time that different adapters add to a step of as many texts with the base alone, as a share; null if
    /// that number was not measured.</summary>
    public double? MixedCost => Options.Batch.ToList().IndexOf(Options.Adapters) is var place and >= 0
        ? Cost(Mixed, Batches[place]) : null;

    /// <summary>What prompt lookup gains, as a multiple of the tokens per second without it.</summary>
    public double LookupSpeedup => Median.OfQuotients(Rates(Guessed), Rates(Plain));

    /// <summary>Tokens per second of one text, as a multiple of llama-bench's.</summary>
    public double? OfOther => Other is null ? null : Median.OfQuotients(Rates(One), Other.Generated);

    /// <summary>Tokens of a prompt per second, as a multiple of llama-bench's.</summary>
    public double? PromptOfOther => Other is null ? null
        : Median.OfQuotients(PromptSeconds.Select(seconds => Options.Prompt / seconds), Other.Prompts);

    /// <summary>Tokens per second of texts with different adapters, as a multiple of llama-server's.</summary>
    public double? OfServer => Server is null ? null : Median.OfQuotients(Rates(Mixed), Rates(Server.Mixed));

    /// <summary>The same from the requests to the end, prompts included.</summary>
    public double? WholeOfServer => Server is null ? null : Median.OfQuotients(
        Whole.Select(run => run.WholeTokensPerSecond), Server.Mixed.Select(run => run.WholeTokensPerSecond));

    /// <summary>The median round's tokens per second.</summary>
    public static double Rate(IReadOnlyList<TokenTimes> rounds) => Median.Of([.. Rates(rounds)]);

    private static double Cost(IReadOnlyList<TokenTimes> with, IReadOnlyList<TokenTimes> without) => Median.OfQuotients(
        with.Select(run => run.FastestSeconds), without.Select(run => run.FastestSeconds)) - 1;

    private static IEnumerable<double> Rates(IReadOnlyList<TokenTimes> rounds) =>
        rounds.Select(run => run.TokensPerSecond);
}

/// <summary>Requests that arrive at random.</summary>
/// <param name="Share">How often, as a share of what the engine finishes when all come at once.</param>
/// <param name="RequestsPerSecond">How often.</param>
/// <param name="Waits">Seconds from each request to its first token, in order of size.</param>
/// <param name="Between">Seconds between two tokens of a text, in order of size.</param>
internal sealed record ServeLoad(
    double Share, double RequestsPerSecond, IReadOnlyList<double> Waits, IReadOnlyList<double> Between)
{
    /// <summary>The value that a share of the values does not exceed.</summary>
    /// <param name="ordered">The values in order of size.</param>
    /// <param name="share">The share, 0 to 1.</param>
    public static double Quantile(IReadOnlyList<double> ordered, double share) =>
        ordered[Math.Clamp((int)Math.Ceiling(share * ordered.Count) - 1, 0, ordered.Count - 1)];
}
