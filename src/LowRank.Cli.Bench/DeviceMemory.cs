using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace LowRank.Cli.Bench;

/// <summary>Watches how much memory of an NVIDIA GPU is in use, with the driver's own program: TorchSharp does not hand
/// out torch's counters.</summary>
internal sealed class DeviceMemory : IDisposable
{
    private const int Milliseconds = 100; // between looks
    private readonly Process process;
    private long peak;

    private DeviceMemory(Process process)
    {
        this.process = process;
        process.OutputDataReceived += (_, line) => See(line.Data);
        process.BeginOutputReadLine();
    }

    /// <summary>Starts to watch.</summary>
    /// <param name="device">The device's name, such as cuda:1.</param>
    /// <returns>Null for other devices, and where nvidia-smi is missing.</returns>
    public static DeviceMemory? Watch(string device)
    {
        if (!device.StartsWith("cuda", StringComparison.OrdinalIgnoreCase)) return null;
        string index = device.Contains(':', StringComparison.Ordinal) ? device.Split(':')[1] : "0";
        var start = new ProcessStartInfo("nvidia-smi", [$"--id={index}", "--query-gpu=memory.used",
            "--format=csv,noheader,nounits", $"--loop-ms={Milliseconds}"])
            { RedirectStandardOutput = true, UseShellExecute = false };
        try
        {
            return Process.Start(start) is { } process ? new DeviceMemory(process) : null;
        }
        catch (Win32Exception)
        {
            return null; // the measurement is complete without it, and its value stays empty
        }
    }

    /// <summary>The largest use that was seen; null if none was.</summary>
    public long? PeakBytes()
    {
        Thread.Sleep(2 * Milliseconds);
        return Interlocked.Read(ref peak) is > 0 and var seen ? seen : null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        process.Kill();
        process.Dispose();
    }

    private void See(string? line)
    {
        if (long.TryParse(line, NumberStyles.Integer, CultureInfo.InvariantCulture, out long megabytes))
            Interlocked.Exchange(ref peak, Math.Max(Interlocked.Read(ref peak), megabytes << 20));
    }
}
