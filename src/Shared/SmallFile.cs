using System.Text;

namespace LowRank;

/// <summary>Files that are read into memory whole: settings, templates, vocabularies. Their paths come from users and
/// downloads, so each has a maximum size, and reading a pipe (such as <c>&lt;(…)</c> in a shell) times out if it stays
/// silent.</summary>
internal static class SmallFile
{
    /// <summary>The maximum size of settings in bytes: recipes, configs, templates, run records.</summary>
    public const int MostOfSettings = 16 << 20;

    /// <summary>The maximum size of a tokenizer file in bytes; the largest in use have 40 MB.</summary>
    public const int MostOfVocabulary = 128 << 20;

    private const int BufferBytes = 1 << 16;

    /// <summary>How long a pipe may stay silent.</summary>
    public static TimeSpan Silence { get; } = TimeSpan.FromSeconds(30);

    /// <summary>The whole text: UTF-8, or the encoding of its byte order mark.</summary>
    /// <param name="path">The file.</param>
    /// <param name="most">Maximum size in bytes.</param>
    /// <exception cref="InputException">The file is too long, a folder, a Git LFS pointer, or a silent
    /// pipe.</exception>
    /// <exception cref="IOException">The file does not exist or cannot be read.</exception>
    public static string ReadText(string path, int most = MostOfSettings)
    {
        using StreamReader reader = Reader(path, most);
        return reader.ReadToEnd();
    }

    /// <summary>The lines of the text, without line endings.</summary>
    /// <inheritdoc cref="ReadText"/>
    public static IEnumerable<string> ReadLines(string path, int most = MostOfSettings)
    {
        using StreamReader reader = Reader(path, most);
        while (reader.ReadLine() is { } line) yield return line;
    }

    /// <summary>The bytes.</summary>
    /// <inheritdoc cref="ReadText"/>
    public static byte[] ReadBytes(string path, int most = MostOfSettings) => ReadBytes(path, most, Silence);

    /// <summary>The bytes, with a given timeout.</summary>
    /// <inheritdoc cref="ReadText"/>
    internal static byte[] ReadBytes(string path, int most, TimeSpan silence)
    {
        byte[] bytes = ReadAll(path, most, silence);
        LfsPointer.Refuse(path, bytes);
        return bytes;
    }

    private static byte[] ReadAll(string path, int most, TimeSpan silence)
    {
        if (Directory.Exists(path)) throw new InputException($"{path} is a folder, expected a file.");
        long length = new FileInfo(path).Length;
        if (length > most) throw TooLong(path, $"{length:n0} bytes", most);
        if (length == 0) return ReadUnknown(path, most, silence);
        using FileStream file = Open(path);
        return ReadToEnd((buffer, from) => file.Read(buffer, from, buffer.Length - from), path, (int)length, most);
    }

    private static StreamReader Reader(string path, int most) =>
        new(new MemoryStream(ReadBytes(path, most), writable: false), Encoding.UTF8);

    // Empty, or not a regular file: pipes and devices have no length, and opening a pipe waits for a writer.
    private static byte[] ReadUnknown(string path, int most, TimeSpan silence)
    {
        using FileStream file = Within(() => Open(path), silence, late => late.Dispose(), path);
        byte[] own = new byte[BufferBytes]; // a read that comes too late must not write into what others hold
        return ReadToEnd((buffer, from) =>
        {
            int read = Within(
                () => file.Read(own, 0, Math.Min(own.Length, buffer.Length - from)), silence, _ => { }, path);
            own.AsSpan(0, read).CopyTo(buffer.AsSpan(from));
            return read;
        }, path, 0, most);
    }

    /// <summary>Opens a pipe with content of any length, such as data. Opening waits for a writer, but not
    /// forever.</summary>
    /// <param name="path">The pipe.</param>
    /// <param name="silence">How long to wait for a writer; null for <see cref="Silence"/>.</param>
    /// <exception cref="InputException">No writer opened the pipe.</exception>
    public static FileStream OpenPipe(string path, TimeSpan? silence = null) =>
        Within(() => Open(path), silence ?? Silence, late => late.Dispose(), path);

    private static FileStream Open(string path) =>
        new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);

    private static byte[] ReadToEnd(Func<byte[], int, int> read, string path, int expected, int most)
    {
        byte[] buffer = new byte[Math.Max(expected + 1, BufferBytes)];
        int end = 0;
        for (int got; (got = read(buffer, end)) > 0;)
        {
            end += got;
            if (end > most) throw TooLong(path, $"more than {most:n0} bytes", most);
            if (end == buffer.Length) Array.Resize(ref buffer, (int)Math.Min((long)buffer.Length * 2, most + 1L));
        }
        return end == buffer.Length ? buffer : buffer[..end];
    }

    // The system's calls cannot be cancelled: after a timeout they continue in the background.
    private static T Within<T>(Func<T> action, TimeSpan silence, Action<T> late, string path)
    {
        Task<T> task =
            Task.Factory.StartNew(
                action, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        if (Task.WaitAny([task], silence) == 0) return task.GetAwaiter().GetResult();
        _ = task.ContinueWith(
            done => late(done.Result), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion,
            TaskScheduler.Default);
        throw new InputException(
            $"{path} is a pipe or a device that gave nothing for {silence.TotalSeconds:0.##} s. Expected a file; " +
            "start what writes into it first, or name a file.");
    }

    private static InputException TooLong(string path, string found, int most) =>
        new($"{path} has {found}, expected at most {most:n0} here: it is read whole, and what it stands for is " +
            "small. Check the path.");
}
