namespace LowRank.Tensors;

/// <summary>Writes a folder that appears whole or not at all.</summary>
public static class AtomicFolder
{
    /// <summary>Fills a temporary folder beside <paramref name="target"/> and puts it in its place.</summary>
    /// <remarks>A folder that stood there before is replaced only once the new one is complete. A process killed at any
    /// moment leaves the old folder, the new one, or (for an instant) the old one under the name
    /// <c>target.replaced-…</c>; never a half-written one.</remarks>
    /// <param name="target">The folder to make.</param>
    /// <param name="fill">Writes the files into the folder it is given.</param>
    public static void Write(string target, Action<string> fill)
    {
        target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(target));
        if (File.Exists(target)) throw new InputException($"{target} is a file; expected a folder to write to. Choose another output.");
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        string unique = Guid.NewGuid().ToString("N")[..8];
        string temporary = $"{target}.partial-{unique}", replaced = $"{target}.replaced-{unique}";
        Directory.CreateDirectory(temporary);
        try
        {
            fill(temporary);
            foreach (string file in Directory.GetFiles(temporary, "*", SearchOption.AllDirectories)) Flush(file);
            if (Directory.Exists(target)) Directory.Move(target, replaced);
            Directory.Move(temporary, target);
        }
        catch
        {
            if (Directory.Exists(replaced) && !Directory.Exists(target)) Directory.Move(replaced, target);
            if (Directory.Exists(temporary)) Directory.Delete(temporary, recursive: true);
            throw;
        }
        if (Directory.Exists(replaced)) Directory.Delete(replaced, recursive: true);
    }

    private static void Flush(string file)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.ReadWrite);
        stream.Flush(flushToDisk: true);
    }
}
