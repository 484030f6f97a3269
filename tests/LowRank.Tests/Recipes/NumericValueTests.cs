using System.CommandLine;
using LowRank.Cli;
using LowRank.Cli.Commands;
using LowRank.Cli.Common;
using LowRank.Recipes;

namespace LowRank.Tests.Recipes;

/// <summary>Values at the edges of what numbers and texts can be, for every key of a recipe and every option: each is
/// taken, or refused in words.</summary>
public sealed class NumericValueTests
{
    private static readonly string Long = new('9', 10_000);

    private static readonly string[] Values =
        ["0", "-1", "1e308", "-1e308", "1e-300", "5e-324", ".nan", "NaN", ".inf", "-.inf", "inf", "2147483648",
            "4294967296", "9223372036854775807", "9223372036854775808", "''", "~", "[]", "{}", "[[1]]", "[1e308]",
            "{a: 1e308}", Long, "'" + Long + "'"];

    [Fact]
    public void Every_key_takes_a_value_or_refuses_it_in_words()
    {
        var problems = new List<string>();
        int taken = 0;
        foreach (string key in RecipeKeys.All.Select(key => key.Full))
            foreach (string value in Values)
                foreach (string set in Settings(key))
                {
                    try
                    {
                        string written = Recipe.Parse("model: m\noutput: o\ndata: {train: t, validation: v}\n", "/",
                            [.. set.Length == 0 ? [] : new[] { set }, $"{key}={value}"]).ToYaml();
                        taken++;
                        Assert.Equal(written, Recipe.Parse(written, "/").ToYaml());
                    }
                    catch (InputException e)
                    {
                        if (e.Message.Contains("System.") || e.Message.Length > 4000)
                            problems.Add(
                                $"{key}={value[..Math.Min(20, value.Length)]}: " +
                                $"{e.Message[..Math.Min(300, e.Message.Length)]}");
                    }
                    catch (Exception e)
                    {
                        problems.Add(
                            $"{key}={value[..Math.Min(20, value.Length)]}: {e.GetType().Name} " +
                            $"{e.Message[..Math.Min(300, e.Message.Length)]}");
                    }
                }
        Assert.Empty(problems);
        Assert.True(taken > 200, $"only {taken} were taken");
    }

    // What a key needs to be there to take effect at all.
    private static string[] Settings(string key) => key switch
    {
        _ when key.StartsWith("task_options.", StringComparison.Ordinal) =>
            ["task=sequence_classification", "task=embedding", "task=question_answering", "task=masked_lm"],
        _ when key.StartsWith("adapter.method_options.", StringComparison.Ordinal) =>
            ["adapter.method=adalora", "adapter.method=lokr", "adapter.method=eva", "adapter.method=lora_ga",
            "adapter.method=vera"],
        "data.shuffle_buffer" => ["data={train: t, streaming: true}"],
        _ => [""],
    };

    [Fact]
    public void Every_option_takes_a_value_or_refuses_it_in_words()
    {
        var root = new RootCommand();
        foreach (ICliCommand command in CommandLineApplication.Commands()) root.Add(command.Build());
        var problems = new List<string>();
        int tried = 0;
        foreach ((string path, Command command) in All(root, "").Where(one => one.Command.Subcommands.Count == 0))
            foreach (Option option in command.Options)
                foreach (string value in Values)
                {
                    ParseResult parsed =
                        root.Parse(
                            [.. path.Split(' ', StringSplitOptions.RemoveEmptyEntries),
                            .. command.Arguments.Select(_ => "a"), option.Name, value]);
                    try
                    {
                        IReadOnlyList<string> said =
                            [.. parsed.Errors.Select(error => error.Message), .. parsed.Errors.Count > 0
                            || command.Action is not CommandAction action ? []
                            : OptionUse.Problems(action.Uses, parsed)];
                        problems.AddRange(said.Where(words => words.Contains("Exception", StringComparison.Ordinal)));
                        tried++;
                    }
                    catch (Exception e)
                    {
                        problems.Add(
                            $"{path} {option.Name} {value[..Math.Min(20, value.Length)]}: {e.GetType().Name} " +
                            $"{e.Message}");
                    }
                }
        Assert.Empty(problems);
        Assert.True(tried > 1000, $"only {tried} were tried");
    }

    private static IEnumerable<(string Path, Command Command)> All(Command command, string path) =>
        command.Subcommands.SelectMany(child => All(child, $"{path} {child.Name}")).Append((path, command));
}
