using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using LowRank.Adapters;
using LowRank.Cli.Common;
using LowRank.Generation;
using LowRank.Tasks;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank generate --data</c>: completions of all prompts of files, written to a file.</summary>
internal sealed class GenerateRows
{
    private const string Alone = "has no effect without --data";

    private readonly DataOptions data = new("Rows with prompts (\"prompt\", or \"messages\"), each of which is " +
        "continued.");
    private readonly Option<int> count = new("--n")
    {
        Description = "With --data: completions of each prompt.",
        DefaultValueFactory = _ => 1,
    };
    private readonly Option<string?> output = new("--output")
    {
        Description =
            "With --data: the JSONL file to write. A command that was killed continues from its OUTPUT.part.",
    };
    private readonly Option<int> batch = new("--batch-size")
    {
        Description = "With --data: prompts at a time. Changes the speed but not the texts.",
        DefaultValueFactory = _ => 8,
    };
    private readonly Option<string[]> rewards = new("--reward")
    {
        Description =
            "With --data: what judges completions: \"regex: PATTERN\" (1 where it matches), \"exact: FIELD\" (1 " +
            "where the completion is the row's field), \"model: FOLDER\" (a reward model's), or \"program: " +
                "COMMAND\", which reads a " +
            "line of JSON for each completion and writes a number. May be repeated.",
        DefaultValueFactory = _ => [],
    };
    private readonly Option<double[]> weights = new("--reward-weight")
    {
        Description = "The factor of each --reward, in their order. Default: 1 each.",
        DefaultValueFactory = _ => [],
    };
    private readonly Option<bool> best = new("--best")
    {
        Description = "Keep only each prompt's best completion by --reward, to train on (rejection sampling).",
    };

    /// <summary>When the options take effect.</summary>
    public IReadOnlyList<OptionUse> Uses =>
    [
        .. data.Uses,
        OptionUse.Unless(count, WithoutData), OptionUse.Unless(output, WithoutData),
        OptionUse.Unless(batch, WithoutData), OptionUse.Unless(rewards, WithoutData),
        OptionUse.Unless(weights, WithoutData), OptionUse.Unless(best, WithoutData),
        OptionUse.Rule(Problems),
    ];

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        data.AddTo(command, isRequired: false);
        foreach (Option option in new Option[] { count, output, batch, rewards, weights, best }) command.Add(option);
    }

    /// <summary>Whether rows are continued rather than one prompt.</summary>
    public bool AreGiven(ParseResult parsed) => data.Paths(parsed).Length > 0;

    /// <summary>Writes the completions.</summary>
    public void Write(ModelOptions model, GenerationOptions generation, ParseResult parsed)
    {
        string path = parsed.GetValue(output)!;
        OutputFile file = OutputFile.Of(
            "--output", path, [.. data.Inputs(parsed), .. model.Inputs(parsed)], allowsStandard: false);
        using OpenedModel opened = model.Open(parsed);
        CompletionOptions options = Options(parsed, generation) with { Identity = Identity(model, parsed) };
        AdapterData? kept = AdapterData.Load(model.DataFolder(parsed));
        using var stop = new StopSignals("finishing the token; what is written stays");
        (int lines, IReadOnlyList<string> notes) = Completions.Write(
            opened.Model, opened.RequireTokenizer(talks: true),
            data.Source(parsed, data.Reading(parsed, kept, model.DataFolder(parsed)), unanswered: true),
            path, options, new Counter(), stop.Token);
        foreach (string note in notes) Console.Error.WriteLine("note: " + note);
        file.Say($"Wrote {lines} completions to {file}");
    }

    private string? WithoutData(ParseResult parsed) => AreGiven(parsed) ? null : Alone;

    private CompletionOptions Options(ParseResult parsed, GenerationOptions generation) => new()
    {
        Count = parsed.GetValue(count),
        BatchSize = parsed.GetValue(batch),
        Generation = generation,
        Rewards = parsed.GetValue(rewards)!,
        RewardWeights = parsed.GetValue(weights)!,
        KeepsBest = parsed.GetValue(best),
    };

    private IEnumerable<string> Problems(ParseResult parsed)
    {
        if (!AreGiven(parsed)) yield break;
        if (parsed.GetValue(output) is null) yield return "--data writes many texts; give the file with --output";
        foreach (string problem in Options(parsed, new GenerationOptions { Temperature = 1 }).Problems())
            yield return problem;
    }

    // Another content of an adapter's file gives other texts.
    private static string Identity(ModelOptions model, ParseResult parsed) => string.Join(" ",
        model.Adapters(parsed).Select(adapter =>
        {
            string tensors = Path.Combine(adapter.Folder, Adapter.FileName);
            string content = File.Exists(tensors)
                ? Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(tensors)))[..16] : "";
            return $"{content}:{adapter.Weight.ToString(CultureInfo.InvariantCulture)}";
        }));

    private sealed class Counter : IProgress<(int Done, int Prompts)>
    {
        private int shown = -1;

        public void Report((int Done, int Prompts) value)
        {
            int share = value.Prompts == 0 ? 100 : 100 * value.Done / value.Prompts;
            if (share / 10 == shown / 10 && shown >= 0) return;
            shown = share;
            Console.Error.WriteLine($"{value.Done} of {value.Prompts} prompts");
        }
    }
}
