namespace LowRank.Recipes.Steps;

/// <summary>Preserves an earlier run's files in an output folder, so that a new run does not overwrite them.</summary>
internal static class PreviousRun
{
    // the files that runs write; other files in the folder are the user's and stay in place
    private static readonly string[] Written =
        ["adapter", "model", "best", "checkpoints", "recipe.yaml", "run.json", "metrics.jsonl", "tensorboard",
        "comparison.json", "comparison.before.json"];

    /// <summary>Moves an earlier run's files and folders to <c>OUTPUT.previous-N</c>, N counting from 1.</summary>
    /// <param name="output">The output folder.</param>
    /// <param name="inUse">Folders that the new run reads, such as its base model.</param>
    /// <returns>The folder that now contains the earlier run; null if there was none.</returns>
    /// <exception cref="InputException">The new run reads from a folder that would be moved.</exception>
    public static string? Keep(string output, IEnumerable<string> inUse)
    {
        output = Path.TrimEndingDirectorySeparator(Path.GetFullPath(output));
        string[] found = [.. Written.Select(name => Path.Combine(output, name)).Where(Path.Exists)];
        if (found.Length == 0) return null;
        foreach (string folder in inUse.Select(Path.GetFullPath))
            if (found.FirstOrDefault(path => IsWithin(folder, path)) is { } path)
                throw new InputException(
                    $"The run reads {folder}, which an earlier run wrote into its own output {output}: " +
                    $"{path} would be moved away. Choose another output, or move the folder first.");
        int number = 1;
        while (Path.Exists(Target(output, number))) number++;
        string target = Target(output, number);
        Directory.CreateDirectory(target);
        foreach (string path in found) Directory.Move(path, Path.Combine(target, Path.GetFileName(path)));
        return target;
    }

    private static string Target(string output, int number) => $"{output}.previous-{number}";

    private static bool IsWithin(string folder, string parent) =>
        (Path.TrimEndingDirectorySeparator(folder) + Path.DirectorySeparatorChar)
            .StartsWith(parent + Path.DirectorySeparatorChar, StringComparison.Ordinal);
}
