namespace LowRank.Pages;

/// <summary>The command line's arguments.</summary>
/// <param name="Repository">The repository's folder.</param>
/// <param name="Only">One experiment; null for all.</param>
/// <param name="Steps">Optimizer steps of each run.</param>
/// <param name="Again">Whether to repeat existing measurements.</param>
/// <param name="RenderOnly">Whether to write only figures and tables.</param>
internal sealed record Arguments(string Repository, string? Only, int Steps, bool Again, bool RenderOnly)
{
    private const int DefaultSteps = 100;

    /// <summary>Reads the command line.</summary>
    /// <exception cref="InputException">An argument is unknown.</exception>
    public static Arguments Parse(string[] args)
    {
        var result = new Arguments(Pages.Repository.Find(), null, DefaultSteps, Again: false, RenderOnly: false);
        for (int i = 0; i < args.Length; i++)
        {
            string Value() => ++i < args.Length ? args[i]
                : throw new InputException($"{args[i - 1]} needs a value.");
            result = args[i] switch
            {
                "--only" => result with { Only = Value() },
                "--steps" => result with { Steps = int.TryParse(Value(), out int steps) && steps > 0 ? steps
                : throw new InputException($"--steps is {args[i]}, expected a whole number above 0.") },
                "--again" => result with { Again = true },
                "--render" => result with { RenderOnly = true },
                _ => throw new InputException(
                    $"\"{args[i]}\" is unknown; expected --only NAME, --steps N, --again or --render."),
            };
        }
        string[] names = [.. Runs.ByExperiment.Keys, "ways", "costs"];
        if (result.Only is { } only && !names.Contains(only))
            throw new InputException($"--only is \"{only}\"; expected one of {string.Join(", ", names)}.");
        return result;
    }
}
