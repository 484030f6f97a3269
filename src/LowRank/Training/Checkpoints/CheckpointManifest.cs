using System.Security.Cryptography;
using System.Text.Json;

namespace LowRank.Training;

/// <summary>What a checkpoint's folder has to hold: the last file written into it, by which a torn checkpoint is recognised.</summary>
/// <param name="Format">The version of the layout, 1.</param>
/// <param name="Files">Every other file.</param>
internal sealed record CheckpointManifest(int Format, IReadOnlyList<CheckpointFile> Files)
{
    /// <summary>The manifest's name.</summary>
    public const string FileName = "manifest.json";

    private const int CurrentFormat = 1;

    /// <summary>Lists the files of a folder.</summary>
    public static void Write(string folder)
    {
        CheckpointFile[] files = [.. Directory.GetFiles(folder).Order(StringComparer.Ordinal)
            .Select(path => new CheckpointFile(Path.GetFileName(path), new FileInfo(path).Length, Hash(path)))];
        File.WriteAllText(Path.Combine(folder, FileName), JsonSerializer.Serialize(new CheckpointManifest(CurrentFormat, files), CheckpointStore.Json));
    }

    /// <summary>Compares a folder with its manifest, every byte of it.</summary>
    /// <returns>What is wrong with it; null for a whole checkpoint.</returns>
    public static string? Check(string folder)
    {
        try
        {
            string path = Path.Combine(folder, FileName);
            if (!File.Exists(path)) return $"it has no {FileName}";
            CheckpointManifest? manifest = JsonSerializer.Deserialize<CheckpointManifest>(SmallFile.ReadText(path), CheckpointStore.Json);
            if (manifest is not { Files: not null }) return $"its {FileName} is empty";
            if (manifest.Format != CurrentFormat) return $"its {FileName} has format {manifest.Format}; this version reads {CurrentFormat}";
            if (manifest.Files.Any(file => file is not { Name.Length: > 0, Sha256: not null })) return $"its {FileName} lists a file without a name or a hash";
            return manifest.Files.Select(file => Problem(folder, file)).FirstOrDefault(problem => problem is not null);
        }
        catch (JsonException e)
        {
            return $"its {FileName} is torn: {e.Message.Split(" Path:")[0].Split(" LineNumber:")[0].TrimEnd('.')}";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"it cannot be read: {e.Message}";
        }
    }

    private static string? Problem(string folder, CheckpointFile file)
    {
        string path = Path.Combine(folder, Path.GetFileName(file.Name));
        if (!File.Exists(path)) return $"{file.Name} is missing";
        long bytes = new FileInfo(path).Length;
        if (bytes != file.Bytes) return $"{file.Name} has {bytes:n0} bytes of {file.Bytes:n0}";
        return Hash(path) == file.Sha256 ? null : $"{file.Name} has other bytes than were written";
    }

    private static string Hash(string path)
    {
        using FileStream stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }
}
