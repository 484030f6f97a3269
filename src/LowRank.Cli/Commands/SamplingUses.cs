using System.CommandLine;
using LowRank.Cli.Common;
using LowRank.Generation;

namespace LowRank.Cli.Commands;

/// <summary>When the sampling options take effect: at temperature 0 nothing is sampled.</summary>
internal static class SamplingUses
{
    private const string Greedy =
        "has no effect at --temperature 0, which always takes the most likely token; set a temperature above 0, or " +
        "remove it";

    /// <summary>The declarations.</summary>
    /// <param name="options">Gives the options from the command line.</param>
    /// <param name="maxNewTokens">--max-new-tokens.</param>
    /// <param name="temperature">--temperature.</param>
    /// <param name="topK">--top-k; 0 switches it off.</param>
    /// <param name="topP">--top-p; 1 switches it off.</param>
    /// <param name="seed">--seed.</param>
    public static OptionUse[] Of(Func<ParseResult, GenerationOptions> options, Option<int> maxNewTokens,
        Option<double> temperature, Option<int> topK, Option<double> topP, Option<long> seed)
    {
        bool IsGreedy(ParseResult parsed) => parsed.GetValue(temperature) == 0;
        return
        [
            OptionUse.Always(maxNewTokens, temperature),
            OptionUse.Unless(topK, parsed => IsGreedy(parsed) && parsed.GetValue(topK) != 0 ? Greedy : null),
            OptionUse.Unless(topP, parsed => IsGreedy(parsed) && parsed.GetValue(topP) != 1 ? Greedy : null),
            OptionUse.Unless(seed, parsed => IsGreedy(parsed) ? Greedy : null),
            OptionUse.Rule(parsed => Ranges(options(parsed), parsed.CommandResult.Command)),
        ];
    }

    // Options without effect are reported above.
    private static IEnumerable<string> Ranges(GenerationOptions options, Command command)
    {
        if (options.Temperature == 0)
            options = options with { TopK = Math.Min(options.TopK, 0), TopP = options.TopP is > 0 and <= 1 ? 1
                : options.TopP };
        try
        {
            options.Validate();
            return [];
        }
        catch (InputException e)
        {
            e.Word(CommandWording.Of(command));
            return e.Problems;
        }
    }
}
