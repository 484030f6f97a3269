using System.CommandLine;
using LowRank.Cli.Common;
using LowRank.Generation;

namespace LowRank.Cli.Commands;

/// <summary>The options of generation, --max-new-tokens, --temperature, --top-k, --top-p and --seed. At temperature 0
/// nothing is sampled, so those of sampling have no effect.</summary>
/// <param name="most">The default of --max-new-tokens.</param>
/// <param name="mostHelp">Its help.</param>
/// <param name="seedHelp">The help of --seed.</param>
internal sealed class SamplingOptions(int most, string mostHelp, string seedHelp)
{
    private const string Greedy =
        "has no effect at --temperature 0, which always takes the most likely token; set a temperature above 0, or " +
        "remove it";

    private readonly Option<int> maxNewTokens = new("--max-new-tokens")
    {
        Description = mostHelp,
        DefaultValueFactory = _ => most,
    };
    private readonly Option<double> temperature = new("--temperature")
    {
        Description = "0 always takes the most likely token; higher values give more variety.",
        DefaultValueFactory = _ => 0,
    };
    private readonly Option<int> topK = new("--top-k")
    {
        Description = "Sample from this many most likely tokens; 0 for all.",
        DefaultValueFactory = _ => 0,
    };
    private readonly Option<double> topP = new("--top-p")
    {
        Description = "Sample from the most likely tokens whose probabilities add up to this value; 1 for all.",
        DefaultValueFactory = _ => 1,
    };
    private readonly Option<long> seed = new("--seed")
    {
        Description = seedHelp,
        DefaultValueFactory = _ => 42,
    };

    /// <summary>When the options take effect.</summary>
    public OptionUse[] Uses =>
    [
        OptionUse.Always(maxNewTokens, temperature),
        OptionUse.Unless(topK, parsed => IsGreedy(parsed) && parsed.GetValue(topK) != 0 ? Greedy : null),
        OptionUse.Unless(topP, parsed => IsGreedy(parsed) && parsed.GetValue(topP) != 1 ? Greedy : null),
        OptionUse.Unless(seed, parsed => IsGreedy(parsed) ? Greedy : null),
        OptionUse.Rule(parsed => Ranges(Read(parsed), parsed.CommandResult.Command)),
    ];

    /// <summary>Adds the options to a command.</summary>
    public SamplingOptions AddTo(Command command)
    {
        foreach (Option option in new Option[] { maxNewTokens, temperature, topK, topP, seed }) command.Add(option);
        return this;
    }

    /// <summary>What the user gave.</summary>
    public GenerationOptions Read(ParseResult parsed) => new()
    {
        MaxNewTokens = parsed.GetValue(maxNewTokens),
        Temperature = parsed.GetValue(temperature),
        TopK = parsed.GetValue(topK),
        TopP = parsed.GetValue(topP),
        Seed = parsed.GetValue(seed),
    };

    private bool IsGreedy(ParseResult parsed) => parsed.GetValue(temperature) == 0;

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
