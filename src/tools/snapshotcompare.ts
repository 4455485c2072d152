/**
 * Two snapshots side by side, level by level or subtree by subtree: the output of Apache's SnapshotComparer.
 *
 * A node is worth a line where the bytes or the number of znodes below it differ by more than a threshold.
 */

import { basename } from 'node:path'
import type { DataTree, NodeId } from '../datatree/tree.ts'
import type { Disk } from '../txnlog/disk.ts'
import { loadSnapshot, pathText } from './snapshotload.ts'
import { type Terminal, ToolExit } from './terminal.ts'

export interface CompareOptions {
  readonly left: string
  readonly right: string
  /** A line for every node that differs by more than so many bytes, its descendants' included. */
  readonly byteThreshold: number
  /** Or by more than so many descendants. */
  readonly nodeThreshold: number
  readonly debug: boolean
  readonly interactive: boolean
}

interface Node {
  /** Its path; the root's is "". */
  readonly label: string
  readonly children: Node[]
  /** Bytes of data, its own included. */
  bytes: number
  /** Znodes below it. */
  count: number
}

interface Tree {
  readonly levels: Node[][]
  readonly byPath: Map<string, Node>
}

export async function compareSnapshots(
  disk: Disk,
  options: CompareOptions,
  lengthMax: number,
  terminal: Terminal,
): Promise<number> {
  terminal.out('Successfully parsed options!\n')
  const left = await readTree(disk, options.left, lengthMax, terminal)
  const right = await readTree(disk, options.right, lengthMax, terminal)
  terminal.out(`${describe(left)}\n${describe(right)}\n`)
  const depthMax = Math.max(left.levels.length, right.levels.length)
  if (options.interactive) await explore(left, right, depthMax, options, terminal)
  else {
    terminal.out(thresholds(options))
    for (let depth = 0; depth < depthMax; depth++) compareLevel(left, right, depth, options, terminal)
  }
  terminal.out('All layers compared.\n')
  return ToolExit.ok
}

async function readTree(disk: Disk, path: string, lengthMax: number, terminal: Terminal): Promise<Tree> {
  const startMs = disk.nowMs()
  terminal.progress(`reading ${path}`)
  const { state } = await loadSnapshot(disk, path, lengthMax)
  terminal.progress(null)
  const loadedMs = disk.nowMs()
  terminal.out(`Deserialized snapshot in ${basename(path)} in ${seconds(loadedMs - startMs)} seconds\n`)
  const tree: Tree = { levels: [], byPath: new Map() }
  gather(state.tree, state.tree.find(new Uint8Array(0), 0, 0), '', 0, tree)
  for (const level of tree.levels) level.sort(byLabel)
  terminal.out(`Processed data tree in ${seconds(disk.nowMs() - loadedMs)} seconds\n`)
  return tree
}

function gather(from: DataTree, n: NodeId, label: string, depth: number, into: Tree): Node {
  const node: Node = { label, children: [], bytes: Math.max(from.dataLength(n), 0), count: 0 }
  const children: NodeId[] = []
  from.forEachChild(n, (child) => children.push(child))
  for (const child of children) {
    const below = gather(from, child, pathText(from, child), depth + 1, into)
    node.children.push(below)
    node.bytes += below.bytes
    node.count += below.count + 1
  }
  node.children.sort(byLabel)
  while (into.levels.length <= depth) into.levels.push([])
  into.levels[depth]!.push(node)
  into.byPath.set(label, node)
  return node
}

function describe({ levels, byPath }: Tree): string {
  const lines = [`Node count: ${byPath.size}`, `Total size: ${byPath.get('')!.bytes}`, `Max depth: ${levels.length}`]
  levels.forEach((level, depth) => {
    lines.push(`Count of nodes at depth ${depth}: ${level.length}`)
  })
  return `${lines.join('\n')}\n`
}

/** The operator walks through the levels, or asks for one, or for the children of a path. */
async function explore(
  left: Tree,
  right: Tree,
  depthMax: number,
  options: CompareOptions,
  terminal: Terminal,
): Promise<void> {
  for (let depth = 0; depth < depthMax; ) {
    const answer = await terminal.ask(
      `Current depth is ${depth}\n` +
        '- Press enter to move to print current depth layer;\n' +
        '- Type a number to jump to and print all nodes at a given depth;\n' +
        "- Enter an ABSOLUTE path to print the immediate subtree of a node. Path must start with '/'.\n",
    )
    if (answer === null) return
    terminal.out(thresholds(options))
    if (answer === '') {
      compareLevel(left, right, depth++, options, terminal)
    } else if (answer.startsWith('/')) {
      compareSubtree(left, right, answer, options, terminal)
    } else if (!/^[+-]?\d{1,10}$/.test(answer)) {
      const range = `Depth must be in range [0, ${depthMax - 1}]`
      terminal.out(`Input ${answer} is not valid. ${range}. Path must be an absolute path which starts with '/'.\n`)
    } else if (Number(answer) < 0 || Number(answer) >= depthMax) {
      terminal.out(`Depth must be in range [0, ${depthMax - 1}]\n`)
      continue
    } else {
      depth = Number(answer)
      compareLevel(left, right, depth, options, terminal)
    }
    terminal.out('\n')
  }
}

function compareLevel(left: Tree, right: Tree, depth: number, options: CompareOptions, terminal: Terminal): void {
  terminal.out(`Analysis for depth ${depth}\n`)
  compareNodes(left.levels[depth] ?? [], right.levels[depth] ?? [], options, terminal)
}

function compareSubtree(left: Tree, right: Tree, path: string, options: CompareOptions, terminal: Terminal): void {
  terminal.out(`Analysis for node ${path}\n`)
  const inLeft = left.byPath.get(path)
  const inRight = right.byPath.get(path)
  if (inLeft === undefined && inRight === undefined) {
    terminal.out(`Path ${path} is neither found in left tree nor right tree.\n`)
  } else {
    compareNodes(inLeft?.children ?? [], inRight?.children ?? [], options, terminal)
  }
}

/** Both lists are sorted. */
function compareNodes(
  left: readonly Node[],
  right: readonly Node[],
  options: CompareOptions,
  terminal: Terminal,
): void {
  const say = (line: string): void => terminal.out(`${line}\n`)
  let l = 0
  let r = 0
  while (l < left.length || r < right.length) {
    const inLeft = left[l]
    const inRight = right[r]
    let order: number
    if (inLeft === undefined) order = 1
    else if (inRight === undefined) order = -1
    else {
      order = byLabel(inLeft, inRight)
      if (options.debug) {
        say(`Comparing ${inLeft.label} to ${inRight.label}`)
        say(order < 0 ? 'left is less' : order > 0 ? 'right is less' : 'same')
      }
    }
    if (order < 0) reportOne(inLeft!, 'left', options, say)
    else if (order > 0) reportOne(inRight!, 'right', options, say)
    else reportBoth(inLeft!, inRight!, options, say)
    if (order <= 0) l++
    if (order >= 0) r++
  }
}

function reportOne(node: Node, side: 'left' | 'right', options: CompareOptions, say: (line: string) => void): void {
  if (node.bytes > options.byteThreshold || node.count > options.nodeThreshold) {
    const size = `Descendant size: ${node.bytes}. Descendant count: ${node.count}`
    say(`Node ${node.label} found only in ${side} tree. ${size}`)
  } else if (options.debug || options.interactive) {
    say(`Filtered ${side} node ${node.label} of size ${node.bytes}`)
  }
}

function reportBoth(left: Node, right: Node, options: CompareOptions, say: (line: string) => void): void {
  const bytes = right.bytes - left.bytes
  const count = right.count - left.count
  if (Math.abs(bytes) > options.byteThreshold || Math.abs(count) > options.nodeThreshold) {
    say(`Node ${left.label} found in both trees. Delta: ${bytes} bytes, ${count} descendants`)
  } else if (options.debug || options.interactive) {
    say(`Filtered node ${left.label} of left size ${left.bytes}, right size ${right.bytes}`)
  }
}

function thresholds({ byteThreshold, nodeThreshold }: CompareOptions): string {
  const nodes = `node count difference larger than ${nodeThreshold}`
  return `Printing analysis for nodes difference larger than ${byteThreshold} bytes or ${nodes}.\n`
}

/** By UTF-16 units, as Java compares strings. */
function byLabel(a: Node, b: Node): number {
  return a.label < b.label ? -1 : a.label > b.label ? 1 : 0
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(6)
}
