using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LowRank.Kernels.Native;
using TorchSharp;

namespace LowRank.Kernels;

/// <summary>Runs the parts of a kernel on torch's threads.</summary>
/// <remarks><para>Every kernel in this folder keeps one rule: the result of a row depends neither on other rows nor on
/// the number of threads, to the last bit. For this, parts share nothing that they write, and the same instructions
/// compute a row wherever it is.</para>
/// <para>Where torch uses GNU OpenMP (Linux), the parts run on the threads of torch's own operations: these spin for a
/// while after each operation, and other threads would compete with them for the cores. Elsewhere the parts run on the
/// thread pool.</para></remarks>
internal static unsafe class Workers
{
    private static readonly delegate* unmanaged[Cdecl]<delegate* unmanaged[Cdecl]<void*, void>, void*, uint, uint,
        void> Team = FindTeam();

    /// <summary>Number of threads that torch computes with.</summary>
    public static int Count => torch.get_num_threads();

    /// <summary>Runs a body for each part 0, 1, … and returns when all are finished.</summary>
    /// <param name="parts">Number of parts.</param>
    /// <param name="body">Called with <paramref name="data"/> and the part; must not throw.</param>
    /// <param name="data">Data shared by the parts; valid until this returns.</param>
    public static void Run(int parts, delegate*<void*, int, void> body, void* data)
    {
        int threads = parts == 1 ? 1 : Math.Min(parts, Count);
        if (threads == 1)
        {
            for (int part = 0; part < parts; part++) body(data, part);
            return;
        }
        var job = new Job { Body = body, Data = data, Parts = parts };
        // Always uses the whole team: GNU OpenMP ends the threads that a smaller team leaves out.
        if (Team != null) Team(&Work, &job, (uint)Count, 0);
        else RunOnPool(&job, threads);
    }

    /// <summary>Like the other overload, for parts that share managed data.</summary>
    /// <param name="parts">Number of parts.</param>
    /// <param name="body">Called with the part; must not throw.</param>
    public static void Run(int parts, Action<int> body)
    {
        var handle = new GCHandle<Action<int>>(body);
        try
        {
            Run(parts, &Call, (void*)GCHandle<Action<int>>.ToIntPtr(handle));
        }
        finally
        {
            handle.Dispose();
        }
    }

    private static void Call(void* data, int part) => GCHandle<Action<int>>.FromIntPtr((nint)data).Target(part);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Work(void* shared) => Work((Job*)shared);

    private static void Work(Job* job)
    {
        for (int part; (part = Interlocked.Increment(ref job->Taken) - 1) < job->Parts;) job->Body(job->Data, part);
    }

    private static void RunOnPool(Job* job, int threads) => Parallel.For(0, threads, _ => Work(job));

    private static delegate* unmanaged[Cdecl]<delegate* unmanaged[Cdecl]<void*, void>, void*, uint, uint,
        void> FindTeam() =>
        NativeRuntime.OpenMp is { } library && NativeLibrary.TryGetExport(library, "GOMP_parallel", out nint address)
            ? (delegate* unmanaged[Cdecl]<delegate* unmanaged[Cdecl]<void*, void>, void*, uint, uint, void>)address
            : null;

    [StructLayout(LayoutKind.Auto)]
    private struct Job
    {
        public delegate*<void*, int, void> Body;
        public void* Data;
        public int Parts;
        public int Taken;
    }
}
