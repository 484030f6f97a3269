using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using System.Security.Cryptography;
using System.Text;
using LowRank.Kernels.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Which of two products of float32 matrices training uses, <see cref="BlockedProduct"/> or libtorch's: the
/// one that was faster on this processor.</summary>
/// <remarks>libtorch multiplies with Intel's MKL, whose speed depends on the processor's make; no rule about makes and
/// instruction sets held on all machines that were tried. The measurement takes about 20 ms, once per processor, number
/// of threads and version of LowRank and libtorch: its result is kept in the user's cache folder
/// (<c>lowrank/products</c>), which may be deleted at any time. The order of sums depends on the choice, and with it
/// the last bits of a training step; outside training, products have one order
/// (<see cref="LinearProduct"/>).</remarks>
internal static class ProductChoice
{
    // Below, the difference may be chance: then libtorch's is used, so that the choice is the same in every run.
    private const double LeastGain = 1.1;

    private const int Rows = 256, Depth = 768, Columns = 768, Rounds = 4;
    private static readonly Lazy<bool> Chosen = new(() => Gain(CacheFolder) >= LeastGain);

    /// <summary>Whether the library's own product is used.</summary>
    public static bool IsOwn => Chosen.Value;

    /// <summary>How many times as fast as libtorch's the library's own product is: what the cache knows, or else what a
    /// measurement finds.</summary>
    /// <param name="cache">The folder of the cache; created if missing.</param>
    internal static double Gain(string cache)
    {
        if (!Vector256.IsHardwareAccelerated) return 0;
        string name = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Key)))[..16],
            entry = Path.Combine(cache, name);
        if (Known(entry) is { } known) return known;
        double found = Measure();
        Keep(entry, found);
        return found;
    }

    /// <summary>How many times as fast as libtorch's the library's own product is now.</summary>
    internal static unsafe double Measure()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor x = ones(Rows, Depth), w = ones(Columns, Depth), y = empty(Rows, Columns), right = w.t();
        double own = double.PositiveInfinity, libtorch = double.PositiveInfinity;
        for (int round = 0; round < Rounds; round++)
        {
            long started = Stopwatch.GetTimestamp();
            BlockedProduct.Multiply((float*)NativeTensor.Address(x), Depth, (float*)NativeTensor.Address(w), 1, Depth,
                (float*)NativeTensor.Address(y), Columns, Rows, Depth, Columns, adds: false, bias: null);
            own = Math.Min(own, Stopwatch.GetElapsedTime(started).TotalSeconds);
            started = Stopwatch.GetTimestamp();
            y.addmm_(x, right, beta: 0, alpha: 1);
            libtorch = Math.Min(libtorch, Stopwatch.GetElapsedTime(started).TotalSeconds);
        }
        return libtorch / own;
    }

    /// <summary>What the measurement depends on.</summary>
    internal static string Key => string.Create(CultureInfo.InvariantCulture,
        $"{Processor()}, vectors of {(Vector512.IsHardwareAccelerated ? 512 : 256)} bits, " +
        $"{get_num_threads()} threads, " +
        $"{typeof(ProductChoice).Assembly.GetName().Version}, {typeof(torch).Assembly.GetName().Version}");

    private static string CacheFolder => Path.Combine(UserCache.Folder, "products");

    // The name that the processor gives itself, and its family, model and stepping.
    private static string Processor()
    {
        if (!X86Base.IsSupported) return RuntimeInformation.ProcessArchitecture.ToString();
        var name = new List<int>();
        for (uint leaf = 0x80000002; leaf <= 0x80000004; leaf++)
        {
            (int eax, int ebx, int ecx, int edx) = X86Base.CpuId(unchecked((int)leaf), 0);
            name.AddRange([eax, ebx, ecx, edx]);
        }
        string text = Encoding.ASCII.GetString(MemoryMarshal.AsBytes<int>(name.ToArray())).TrimEnd('\0', ' ');
        return string.Create(CultureInfo.InvariantCulture, $"{text} {X86Base.CpuId(1, 0).Eax:x}");
    }

    // A missing, damaged or unreadable cache only costs time.
    private static double? Known(string entry)
    {
        try
        {
            return File.Exists(entry) && double.TryParse(
                File.ReadAllText(entry), NumberStyles.Float, CultureInfo.InvariantCulture, out double gain)
                && gain > 0 ? gain : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static void Keep(string entry, double gain)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(entry)!);
            string fresh = $"{entry}.{Guid.NewGuid():n}";
            File.WriteAllText(fresh, gain.ToString("0.000", CultureInfo.InvariantCulture));
            File.Move(fresh, entry, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // the next process measures again
        }
    }
}
