import { defineConfig } from 'vitest/config'

/** One project per kind of test: what it proves decides where it lives, and what it may need. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/disk/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000, // tests of commands compile the package first
        },
      },
      { test: { name: 'simulation', include: ['test/simulation/**/*.test.ts'], testTimeout: 60_000 } },
      {
        test: {
          name: 'conformance',
          include: ['test/conformance/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
