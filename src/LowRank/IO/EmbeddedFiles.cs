namespace LowRank.IO;

/// <summary>A small base model and rows to adapt it to, which the package LowRank.Embedded copies next to a program, so
/// that a first run needs no download.</summary>
/// <remarks>The command line includes them. Recipes and commands refer to them by path: <c>embedded</c> is the base,
/// <c>embedded/hotels/train.jsonl</c> one of the row files.</remarks>
public static class EmbeddedFiles
{
    /// <summary>The path of the embedded base, and the prefix of the row files' paths.</summary>
    public const string Name = "embedded";

    /// <summary>The folder of the embedded base: a decoder with 2.8 million weights that writes dictionary
    /// entries.</summary>
    /// <exception cref="InputException">The files are missing from the program.</exception>
    public static string Model => Require(Path.Combine(Root, "base"));

    /// <summary>The 2,000 training rows: hotel records as prompts, and sentences that state them as
    /// completions.</summary>
    /// <exception cref="InputException">The files are missing from the program.</exception>
    public static string TrainingRows => Require(Path.Combine(Root, "hotels", "train.jsonl"));

    /// <summary>The 100 held-out rows: none of their names, and none of their pairs of area and price, occurs in the
    /// <see cref="TrainingRows"/>.</summary>
    /// <exception cref="InputException">The files are missing from the program.</exception>
    public static string ValidationRows => Require(Path.Combine(Root, "hotels", "validation.jsonl"));

    private static string Root => Path.Combine(AppContext.BaseDirectory, Name);

    /// <summary>The path itself, or the location of the embedded file that it refers to. An existing file or folder
    /// takes precedence.</summary>
    /// <param name="path">The path as written by the user.</param>
    /// <param name="folder">The folder that it is relative to; null for the current folder.</param>
    public static string Resolve(string path, string? folder = null)
    {
        string[] parts = path.Split('/', '\\');
        if (parts[0] != Name) return path;
        string own = Path.GetFullPath(path, folder ?? Environment.CurrentDirectory);
        if (own != Root && Path.Exists(own)) return path; // a program that runs in its own folder finds no base there
        return Path.Combine([Root, .. parts.Length == 1 ? ["base"] : parts[1..]]);
    }

    /// <summary>The name with which <see cref="Resolve"/> finds a path; null if it is not embedded.</summary>
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
