using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace LowRank.Hub;

/// <summary>Downloads the content of one file into the cache: a large file in parallel parts, resuming an interrupted
/// download, and verified against its etag before it gets its name.</summary>
/// <remarks>An unfinished file is stored as <c>ETAG.partial</c> and its finished parts are listed in
/// <c>ETAG.partial.parts</c>. Python's <c>.incomplete</c> files, which have no holes, are not touched.</remarks>
internal sealed class HubDownload(
    HubOptions options, HubTransport transport, string address, HubFile file, string target, IHubProgress progress)
{
    private const int BufferBytes = 1 << 18;
    private const int FewestBytes = 1 << 16; // minimum within the time limit: even the slowest networks are faster
    private readonly string partial = target + ".partial";
    private readonly string list = target + ".partial.parts";
    private readonly Lock writing = new();

    private int PartCount => (int)Math.Max(1, (file.Size + options.PartBytes - 1) / options.PartBytes);

    /// <summary>Bytes of a file that an interrupted download has stored.</summary>
    public static long Left(HubOptions options, HubFile file, string target) =>
        Math.Min(file.Size,
        ReadDone(options, file, target + ".partial", target + ".partial.parts").Count * options.PartBytes);

    /// <summary>Downloads and verifies.</summary>
    /// <exception cref="HubException">The server keeps failing, or sends other data than announced.</exception>
    public async Task Run(CancellationToken cancellation)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        for (int tries = 1; ; tries++)
        {
            await Fetch(cancellation).ConfigureAwait(false);
            string? wrong = await Check(cancellation).ConfigureAwait(false);
            if (wrong is null) break;
            File.Delete(partial);
            File.Delete(list);
            if (tries == 2)
                throw new HubException(
                    $"{file.Path}: {wrong}, twice. The file was not kept. Something between here and " +
                    $"{options.Endpoint} changes what it sends; try again later or through another network.");
            progress.Received(file.Path, -file.Size);
            progress.Note($"{file.Path}: {wrong}; downloading it again");
        }
        using (SafeFileHandle handle = File.OpenHandle(partial, FileMode.Open, FileAccess.ReadWrite))
            RandomAccess.FlushToDisk(handle);
        File.Move(partial, target, overwrite: true);
        File.Delete(list);
    }

    private async Task Fetch(CancellationToken cancellation)
    {
        HashSet<int> done = ReadDone(options, file, partial, list);
        if (done.Count == 0)
            await File.WriteAllTextAsync(list, Head(options, file), cancellation).ConfigureAwait(false);
        using SafeFileHandle handle = File.OpenHandle(
            partial, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, FileOptions.Asynchronous,
            preallocationSize: 0);
        if (RandomAccess.GetLength(handle) != file.Size) RandomAccess.SetLength(handle, file.Size);
        int[] missing = [.. Enumerable.Range(0, PartCount).Where(part => !done.Contains(part))];
        await Parallel.ForEachAsync(
            missing, new ParallelOptions
            {
                MaxDegreeOfParallelism = options.Connections,
                CancellationToken = cancellation,
            }, async (part, stop) =>
        {
            await FetchPart(handle, part, stop).ConfigureAwait(false);
            lock (writing)
            {
                RandomAccess.FlushToDisk(handle); // a part counts as done only when its bytes are on disk
                File.AppendAllText(list, $"{part}\n");
            }
        }).ConfigureAwait(false);
    }

    private async Task FetchPart(SafeFileHandle handle, int part, CancellationToken cancellation)
    {
        long from = part * options.PartBytes, end = Math.Min(file.Size, from + options.PartBytes);
        if (end == from) return; // an empty file
        await transport.Send(() =>
        {
            var request = new HttpRequestMessage(HttpMethod.Get, address);
            request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
            // from grows with the received bytes, so an interrupted connection resumes there
            if (PartCount > 1 || from > 0) request.Headers.Range = new RangeHeaderValue(from, end - 1);
            return request;
        }, file.Path, async (response, stop) =>
        {
            // a server without ranges sends the whole file
            long skip = response.StatusCode == HttpStatusCode.PartialContent ? 0 : from;
            if (response.Content.Headers.ContentRange?.From is { } start && start != from)
                throw new IOException($"asked for bytes from {from}, got them from {start}");
            from = await Copy(response, handle, skip, from, end, stop).ConfigureAwait(false);
            if (from < end) throw new IOException($"the connection ended {end - from} bytes too early");
            return 0;
        }, cancellation).ConfigureAwait(false);

        async Task<long> Copy(
            HttpResponseMessage response, SafeFileHandle into, long skip, long at, long stopAt, CancellationToken stop)
        {
            using Stream stream = await response.Content.ReadAsStreamAsync(stop).ConfigureAwait(false);
            var buffer = new byte[BufferBytes];
            long since = Stopwatch.GetTimestamp(), came = 0;
            while (at < stopAt)
            {
                int read = await transport.Read(stream, buffer, stop).ConfigureAwait(false);
                if (read == 0) break;
                came += read;
                // A byte now and then is no silence, and no download either.
                if (Stopwatch.GetElapsedTime(since) > options.LongestAnswer)
                {
                    if (came < FewestBytes)
                        throw new IOException($"only {came} bytes came in {options.LongestAnswer.TotalSeconds:0.##} s");
                    (since, came) = (Stopwatch.GetTimestamp(), 0);
                }
                int passed = (int)Math.Min(skip, read);
                skip -= passed;
                int taken = (int)Math.Min(read - passed, stopAt - at);
                if (taken == 0) continue;
                await RandomAccess.WriteAsync(into, buffer.AsMemory(passed, taken), at, stop).ConfigureAwait(false);
                at += taken;
                from = at;
                lock (writing) progress.Received(file.Path, taken);
            }
            return at;
        }
    }

    // The etag of a large file is its SHA-256; that of a small one is git's SHA-1 of "blob LENGTH\0" and the content.
    private async Task<string?> Check(CancellationToken cancellation)
    {
        bool large = file.Etag.Length == 64;
        // a mirror's own etag does not describe the content; the length was checked
        if (!large && file.Etag.Length != 40) return null;
        using var stream = new FileStream(partial, FileMode.Open, FileAccess.Read, FileShare.Read, BufferBytes);
#pragma warning disable CA5350 // git names contents by SHA-1; nothing here is secured by it
        using IncrementalHash hash =
            IncrementalHash.CreateHash(large ? HashAlgorithmName.SHA256 : HashAlgorithmName.SHA1);
#pragma warning restore CA5350
        if (!large) hash.AppendData(Encoding.ASCII.GetBytes($"blob {file.Size}\0"));
        var buffer = new byte[BufferBytes];
        for (int read; (read = await stream.ReadAsync(buffer, cancellation).ConfigureAwait(false)) > 0;)
            hash.AppendData(buffer, 0, read);
        string found = Convert.ToHexStringLower(hash.GetHashAndReset());
        return found.Equals(file.Etag, StringComparison.OrdinalIgnoreCase) ? null
            : $"the checksum is {found[..12]}…, expected {file.Etag[..12]}…";
    }

    private static string Head(HubOptions options, HubFile file) => $"{file.Size} {options.PartBytes}\n";

    private static HashSet<int> ReadDone(HubOptions options, HubFile file, string partial, string list)
    {
        if (!File.Exists(partial) || !File.Exists(list)) return [];
        string[] lines = File.ReadAllText(list).Split('\n');
        if (lines[0] + "\n" != Head(options, file)) return []; // parts of another size
        return
        [
            .. lines[1..^1]
                .Select(line => int.TryParse(line, CultureInfo.InvariantCulture, out int part) ? part : -1)
                .Where(part => part >= 0),
        ];
    }
}

/// <summary>A section of a file as a separate stream. Owns the file's stream.</summary>
internal sealed class FilePart : Stream
{
    private readonly FileStream file;
    private readonly long length;
    private long done;

    public FilePart(FileStream file, long from, long length)
    {
        (this.file, this.length) = (file, length);
        file.Position = from;
    }

    /// <summary>Called whenever bytes are read for sending.</summary>
    public Action? Taken { get; set; }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => length;

    public override long Position
    {
        get => done;
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        int read = file.Read(buffer[..(int)Math.Min(buffer.Length, length - done)]);
        done += read;
        Taken?.Invoke();
        return read;
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int read = await file.ReadAsync(buffer[..(int)Math.Min(buffer.Length, length - done)], cancellationToken)
            .ConfigureAwait(false);
        done += read;
        Taken?.Invoke();
        return read;
    }

    public override void Flush()
    {
        // The stream is read-only.
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing) file.Dispose();
        base.Dispose(disposing);
    }
}
