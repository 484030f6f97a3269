namespace LowRank.IO;

/// <summary>A small base model and rows to adapt it to, which the package LowRank.Embedded puts beside a program: a
/// first run needs no download.</summary>
/// <remarks>The command line brings them along. Recipes and commands name them by paths: <c>embedded</c> is the base,
/// <c>embedded/hotels/train.jsonl</c> one of the files of rows.</remarks>
public static class EmbeddedFiles
{
    /// <summary>How paths name the embedded base, and how those of the rows begin.</summary>
    public const string Name = "embedded";

    /// <summary>The folder of the embedded base: a decoder of 2.8 million weights that writes dictionary
    /// entries.</summary>
    /// <exception cref="InputException">The program lacks the files.</exception>
    public static string Model => Require(Path.Combine(Root, "base"));

    /// <summary>The 2,000 rows to train on: records of hotels as prompts, sentences that state them as
    /// completions.</summary>
    /// <exception cref="InputException">The program lacks the files.</exception>
    public static string TrainingRows => Require(Path.Combine(Root, "hotels", "train.jsonl"));

    /// <summary>The 100 held-out rows, whose names and prices do not stand together in the
    /// <see cref="TrainingRows"/>.</summary>
    /// <exception cref="InputException">The program lacks the files.</exception>
    public static string ValidationRows => Require(Path.Combine(Root, "hotels", "validation.jsonl"));

    private static string Root => Path.Combine(AppContext.BaseDirectory, Name);

    /// <summary>A path as it is, or the place of the embedded file that it names. A file or folder that exists
    /// wins.</summary>
    /// <param name="path">The path, as the user wrote it.</param>
    /// <param name="folder">What it is relative to; null for the current folder.</param>
    public static string Resolve(string path, string? folder = null)
    {
        string[] parts = path.Split('/', '\\');
        if (parts[0] != Name) return path;
        string own = Path.GetFullPath(path, folder ?? Environment.CurrentDirectory);
        if (own != Root && Path.Exists(own)) return path; // a program that runs in its own folder finds no base there
        return Path.Combine([Root, .. parts.Length == 1 ? ["base"] : parts[1..]]);
    }

    /// <summary>The name by which <see cref="Resolve"/> finds a path; null for one that is not embedded.</summary>
    internal static string? NameOf(string path)
    {
        string place = Path.GetRelativePath(Root, path).Replace('\\', '/');
        bool isOutside = place.StartsWith("..", StringComparison.Ordinal) || Path.IsPathRooted(place);
        return place == "base" ? Name : isOutside ? null : $"{Name}/{place}";
    }

    private static string Require(string path) => Path.Exists(path) ? path : throw new InputException(
        $"{path} was not found. Expected the embedded base and its rows beside the program: " +
        "add them to its project with 'dotnet add package LowRank.Embedded'.");
}
